/* The server from the inside: what its loops share. */
#ifndef TAILFIN_HTTP_SERVER_H
#define TAILFIN_HTTP_SERVER_H

#include "http/listen.h"
#include "http/loop.h"

enum http_phase {
    HTTP_PHASE_RUN,
    HTTP_PHASE_DRAIN, /* no new request is begun */
    HTTP_PHASE_STOP   /* loops end */
};

struct http_server {
    struct http_options options;
    char *cors_origin;               /* options.cors_origin points here */
    struct http_listener *listeners; /* of loop 0 */
    size_t n_listeners;
    struct http_loop **loops;
    pthread_t *threads;
    unsigned n_loops, n_threads; /* made, started */
    _Atomic unsigned phase;      /* enum http_phase */
    _Atomic size_t n_conns;
    unsigned next_loop; /* of loop 0: whose turn it is */

    pthread_mutex_t mutex;
    pthread_cond_t reported; /* CLOCK_MONOTONIC */
    unsigned n_reported;     /* loops where nothing is open; under mutex */
};

#endif
