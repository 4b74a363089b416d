/*
 * The API's write half, inside: what its files share. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_API_H
#define TAILFIN_INDEXER_API_H

#include <pthread.h>

#include "base/queue.h"

#include "indexer/group.h"
#include "indexer/indexer.h"

/*
 * Work that leaves the loop. Single writes are grouped by one thread, so that
 * they share a sync; imports have threads of their own, because they block on
 * their clients; everything else (collections, filters) is done by a third kind.
 */
enum ing_lane { ING_LANE_SINGLE, ING_LANE_IMPORT, ING_LANE_CATALOG, ING_LANE_N };

enum { ING_THREADS_MAX = 64, ING_LANE_ITEMS_MAX = 4096, ING_GROUP_MAX = 256 };

struct ing_api {
    struct ing_api_options options;
    struct ing_groups *groups;
    struct ing_group singles;        /* of the single lane's thread */
    struct queue *lanes[ING_LANE_N]; /* of struct ing_job */
    pthread_t threads[ING_THREADS_MAX];
    unsigned n_threads;
    struct metrics_block *counts; /* shared by the threads */
};

struct ing_job {
    struct http_exchange *x;
    /* Does the work and answers x. Lane's thread. NULL: a single document's write. */
    void (*run)(struct ing_api *a, struct http_exchange *x);
    struct ing_write write;
    bool ignores_absence; /* of a delete */
    bool is_large;        /* the body is not parsed yet, and the write not for the single lane */
    int status;           /* of success */
};

/* ---- documents ---- */

/* Fills job->write from the exchange; false: answered (a bad body or parameter). Loop thread. */
bool ing_api_read_write(struct ing_api *a, struct http_exchange *x, struct ing_job *job);
/* The single lane's loop. */
void ing_api_run_singles(struct ing_api *a);
/* A document too large for the loop and the single lane. Catalog thread. */
void ing_api_write_large(struct ing_api *a, const struct ing_job *job);
void ing_api_update_by_filter(struct ing_api *a, struct http_exchange *x);
void ing_api_delete_by_filter(struct ing_api *a, struct http_exchange *x);
void ing_api_import(struct ing_api *a, struct http_exchange *x);
/* "action" and "dirty_values" of the query string; false: answered with 400. */
bool ing_api_read_action(struct http_exchange *x, enum ing_action *action, enum ing_dirty *dirty);

/* ---- catalog ---- */

void ing_api_create_collection(struct ing_api *a, struct http_exchange *x);
void ing_api_alter_collection(struct ing_api *a, struct http_exchange *x);
void ing_api_drop_collection(struct ing_api *a, struct http_exchange *x);
void ing_api_put_alias(struct ing_api *a, struct http_exchange *x);
void ing_api_drop_alias(struct ing_api *a, struct http_exchange *x);
void ing_api_create_key(struct ing_api *a, struct http_exchange *x);
void ing_api_drop_key(struct ing_api *a, struct http_exchange *x);
void ing_api_snapshot(struct ing_api *a, struct http_exchange *x);
void ing_api_succeed(struct ing_api *a,
                     struct http_exchange *x); /* operations that have nothing to do here */
void ing_api_accept_config(struct ing_api *a, struct http_exchange *x);

/* The body as a JSON object, in the exchange's arena; false: answered with 400. */
bool ing_api_read_object(struct http_exchange *x, struct json *out);
/* Answers with rc's status and the error's sentence. */
void ing_api_refuse(struct http_exchange *x, enum rc rc, const struct err *err);
/* A JSON answer of these bytes (copied). */
void ing_api_answer(struct http_exchange *x, int status, struct span json);

#endif
