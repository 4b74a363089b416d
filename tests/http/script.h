/*
 * A server that plays a part: one thread, which takes one connection after
 * another and answers the n-th request it reads with the n-th step (the last
 * one again from then on), whatever was asked.
 */
#ifndef TAILFIN_TESTS_HTTP_SCRIPT_H
#define TAILFIN_TESTS_HTTP_SCRIPT_H

#include "base/buf.h"

#include <stdatomic.h>

#include <pthread.h>

struct script_step {
    const char *head; /* sent as it is; NULL: nothing */
    size_t body_n;    /* then this many bytes 'b' */
    unsigned wait_ms; /* before the answer */
    bool closes;      /* the connection, behind it */
};

struct script {
    const struct script_step *steps;
    size_t n_steps;
    int fd, port;
    pthread_t thread;
    _Atomic uint64_t n_requests, n_connections;
    struct buf last; /* the header of the newest request; of the thread until script_stop */
};

void script_start(struct script *s, const struct script_step *steps, size_t n);
/* Closes the door and waits for the thread. */
void script_stop(struct script *s);
void script_fini(struct script *s);

#endif
