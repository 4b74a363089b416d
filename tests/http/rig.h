/*
 * A server with a handler made for tests, and raw sockets to talk to it.
 *
 * Routes: /noop (200 "ok"), /echo (the body), /big?n= (n bytes), /method (its
 * name), /header?name= (the request header), /parts, /params (what was parsed), /late?us=&n=
 * (answered by a worker), /held (kept until rig_release), /swap (kept, answers the one kept
 * before), /error (400 with quotes), /twice (two extra headers), /import (streamed body, read by a
 * worker: its length and hash), /import-refused (answered without reading), /import-held (read once
 * the rig says so), /export?n= (n bytes streamed), /export-cut (cut in the middle), /duplex
 * (streams the streamed body back).
 */
#ifndef TAILFIN_TESTS_HTTP_RIG_H
#define TAILFIN_TESTS_HTTP_RIG_H

#include "base/queue.h"
#include "http/http.h"

#include <stdatomic.h>

#include <pthread.h>

enum { RIG_WORKERS = 4 };

struct rig {
    struct http_options options; /* changed between rig_init and rig_start */
    struct http_server *server;
    struct metrics *metrics;
    int port;
    struct queue *work; /* of struct http_exchange */
    pthread_t workers[RIG_WORKERS];
    _Atomic(struct http_exchange *) held; /* the last one kept by /held */
    atomic_bool may_read;                 /* /import-held goes on */
    _Atomic uint64_t n_handled;
    _Atomic int last_rc; /* of the last streaming call that failed */
};

void rig_init(struct rig *r);
void rig_start(struct rig *r);
/* Drains up to a second. */
void rig_stop(struct rig *r);
/* The tear-down of a test whose state is a rig on the heap. */
int rig_teardown(void **state);
/* Waits for an exchange at /held and answers it with "released". */
void rig_release(struct rig *r);
/* Waits until *counter is at least n; fails after 5 s. */
void rig_wait(_Atomic uint64_t *counter, uint64_t n);

/* One connection of a client, and the last answer read from it. */
struct wire {
    int fd;
    struct buf in; /* received, not yet taken */
    size_t at;
    int status;
    struct buf head; /* with the status line */
    struct buf body; /* without chunked coding */
    bool is_cut;     /* the connection ended before the answer did */
};

void wire_open(struct wire *w, const struct rig *r);
void wire_open_unix(struct wire *w, const char *path);
void wire_close(struct wire *w);
void wire_send(struct wire *w, const void *p, size_t n);
void wire_puts(struct wire *w, const char *text);
/* Sends a GET with the headers a good client sends. */
void wire_get(struct wire *w, const char *target);
/* Sends a POST with Content-Length; extra may be "" or header lines. */
void wire_post(struct wire *w, const char *target, const char *extra, struct span body);
/* Reads one answer; is_head: no body follows. False if the connection ended before any byte. */
bool wire_read_as(struct wire *w, bool is_head);
bool wire_read(struct wire *w);
/* Reads one answer and checks its status; the body as a C string, valid until the next reading. */
const char *wire_expect(struct wire *w, int status);
/* The value of the answer's header, "" if absent; valid until the next reading. */
const char *wire_header(struct wire *w, const char *name);
/* Whether the server closes within 3 s; what comes before is dropped. */
bool wire_is_closed(struct wire *w);

#endif
