/*
 * An exchange from the inside. It changes hands: the loop thread makes it and
 * reads the request into it; from the call of the handler until the answer's
 * end it belongs to whoever holds it (the part `holder`); then the loop thread
 * sends the answer and recycles it. README.md, "Concurrency".
 */
#ifndef TAILFIN_HTTP_EXCHANGE_H
#define TAILFIN_HTTP_EXCHANGE_H

#include <stdatomic.h>

#include "http/http.h"
#include "http/parse.h"
#include "http/strict.h"

struct http_loop;
struct http_conn;
struct http_stream;

/* What lies in a loop's inbox: a part of a connection or an exchange. */
struct http_note {
    struct http_note *next;
    void *object; /* its magic number tells which */
};

/* What a holder tells the loop; several may be told before it looks. */
enum http_signal {
    HTTP_SIGNAL_FINAL = 1u << 0, /* the answer is complete: the loop's again */
    HTTP_SIGNAL_OUT = 1u << 1,   /* a streamed answer has begun or has more bytes */
    HTTP_SIGNAL_IN = 1u << 2,    /* there is room for more of a streamed body */
};

enum { HTTP_EXCHANGE_MAGIC = 0x48584348, HTTP_CONN_MAGIC = 0x48434f4e };

struct http_exchange {
    unsigned magic; /* HTTP_EXCHANGE_MAGIC; first, as in struct http_conn */

    /* Set before the handler is called, read by anyone from then on. */
    struct http_loop *loop;
    uint64_t id, begin_us;
    struct http_request request;
    struct http_field *fields;
    size_t n_fields;
    struct http_frame frame;
    bool may_gzip; /* the client takes it */

    /* Of the thread that holds the exchange. */
    struct {
        struct arena arena;
        struct buf extra; /* header lines added */
        struct buf body;
        int status;
        const char *content_type;
        bool is_gzipped;
        bool is_varying;  /* would be gzipped for another client */
        bool is_streamed; /* the answer */
        bool is_cut;      /* streamed and not complete */
    } holder;
    struct http_stream *stream; /* NULL while nothing is streamed */

    /* Of any thread. */
    _Atomic unsigned signals; /* enum http_signal, not yet seen by the loop */
    struct http_note note;

    /* Of the loop thread. */
    struct http_conn *conn;     /* NULL: the connection is gone */
    struct http_exchange *next; /* of the same connection, or spare */
    struct buf body;            /* of the request; request.body points here */
    struct buf head;            /* of the answer */
    struct buf sending;         /* the answer's body, or the piece of it that is being sent */
    size_t n_sent;              /* of head and sending together */
    bool is_safe;               /* no body, changes nothing: may be served beside others */
    bool is_handed;             /* the handler has it or had it */
    bool is_final;              /* the answer is complete */
    bool has_head;              /* head is built: sending may begin */
    bool is_stream_known;       /* stream may be touched by the loop */
    bool is_keep_alive;         /* what the client asks for */
    bool is_last;               /* the connection ends with this answer */
};

/* ---- loop thread ---- */

/* Makes or reuses one; conn is set. */
MUST_USE struct http_exchange *http_exchange_new(struct http_conn *c);
/* Frees or keeps for reuse; not while a holder has it. */
void http_exchange_recycle(struct http_exchange *x);
/* Frees for good; NULL allowed. Any thread if the loop has ended. */
void http_exchange_free(struct http_exchange *x);
/*
 * Copies and parses a header block that strict.c has passed: fills in the
 * request and what lies before the handler. False if http-parser refuses it or
 * the target is malformed.
 */
MUST_USE bool http_exchange_parse(struct http_exchange *x, struct span block);
/* Builds the answer's header; is_last must be settled. date: 29 bytes (RFC 9110, section 5.6.7). */
void http_exchange_head(struct http_exchange *x, const char *date);
/* Ends an exchange that the handler has not seen with an error text. */
void http_exchange_refuse(struct http_exchange *x, int status, const char *text);

/* ---- holder ---- */

/* Tells the loop; FINAL gives the exchange away. */
void http_exchange_signal(struct http_exchange *x, enum http_signal signal);
/* The value of a header in the table; the last one wins. */
struct span http_field_find(const struct http_field *fields, size_t n, const char *name);

#endif
