/*
 * One connection, of one loop thread. Its reading half is a state machine
 * (conn_read.c), its writing half a queue of exchanges in the order of their
 * requests (conn_write.c); a turn (conn.c) runs both until neither can go on.
 */
#ifndef TAILFIN_HTTP_CONN_H
#define TAILFIN_HTTP_CONN_H

#include "http/chunk.h"
#include "http/loop.h"

struct http_inflate;

/*
 * HEADER -> TURN -> BODY -> HEADER ...; a request that cannot wait beside
 * others waits in TURN; END after the last request, or one that was refused:
 * what follows is not read as HTTP.
 */
enum http_read_state { HTTP_READ_HEADER, HTTP_READ_TURN, HTTP_READ_BODY, HTTP_READ_END };

enum { HTTP_PIPELINE_MAX = 16 };

struct http_conn {
    unsigned magic; /* HTTP_CONN_MAGIC; first, as in struct http_exchange */
    int fd;
    struct http_loop *loop;
    struct http_conn *prev, *next;
    struct http_note note; /* on its way to its loop */
    struct ev_io reader, writer;
    uint64_t deadline_us;

    /* reading */
    enum http_read_state state;
    struct buf in;                 /* read and not consumed */
    size_t n_scanned;              /* http_strict_end's */
    struct http_exchange *reading; /* TURN, BODY: the request that is read */
    bool is_chunked;
    struct http_chunks chunks;
    uint64_t body_left;           /* where it is not chunked */
    struct http_inflate *inflate; /* a gzipped body that is not streamed */
    size_t n_inflated;            /* bytes decoded in this turn */
    struct ev_timer resume;       /* ends a pause that a body made for the loop's sake */
    bool is_paused;               /* a streamed body's buffer is full, or resume will tell */
    uint64_t wait_us;             /* bytes came last, or it became the client's turn again */
    uint64_t begin_us;            /* when the first byte of a header came; 0: none yet */

    /* writing */
    struct http_exchange *first, *last; /* begun, not wholly sent; in order */
    unsigned n_open;
    struct buf interim; /* "100 Continue" */
    bool is_blocked;    /* the socket takes no more */
    uint64_t write_us;  /* when it took bytes last */

    bool is_busy;      /* in a turn */
    bool is_eof;       /* the client sends no more */
    bool is_dead;      /* to be closed at the end of the turn */
    bool is_lingering; /* all was sent; reads until the client closes */
    bool is_refused;   /* beyond connections_max: gets 503 */
};

/* Takes the socket; in the thread of loop 0. Handed to its loop with http_conn_start. */
MUST_USE struct http_conn *http_conn_new(int fd, bool is_refused);
/* In the loop's thread: begins to serve. */
void http_conn_start(struct http_conn *c, struct http_loop *l);
/* Closes and frees; exchanges that are held lose their connection. */
void http_conn_close(struct http_conn *c);
/* Reads, answers and writes until nothing is left to do; may close and free. */
void http_conn_turn(struct http_conn *c);
/* After a signal of one of its exchanges. */
void http_conn_signal(struct http_conn *c, struct http_exchange *x, unsigned signals);
/* Its deadline has passed. */
void http_conn_expire(struct http_conn *c);
/* Stops reading the body until the loop has looked after the others. */
void http_conn_yield(struct http_conn *c);
/* Appends an exchange to the queue of answers. */
void http_conn_queue(struct http_conn *c, struct http_exchange *x);
/* The answer is complete: settles whether the connection goes on, builds the header. */
void http_conn_final(struct http_conn *c, struct http_exchange *x);

/* conn_read.c: takes what it can off the input, calls handlers. Returns the bytes used. */
MUST_USE size_t http_conn_consume(struct http_conn *c, struct span in);
/* conn_read.c: the client sends no more: a body that is not complete fails. */
void http_conn_read_eof(struct http_conn *c);
/* conn_read.c: refuses what is being read; it is the connection's last request. */
void http_conn_refuse(struct http_conn *c, int status, const char *text);
/* conn_write.c: sends what is there. True if an exchange was finished. */
MUST_USE bool http_conn_flush(struct http_conn *c);

#endif
