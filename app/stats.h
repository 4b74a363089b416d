/*
 * /stats.json: how many requests were answered lately, and how fast, by route,
 * in the peer's shape. "Lately" is the window of ten seconds that is running and
 * the one before it.
 */
#ifndef TAILFIN_APP_STATS_H
#define TAILFIN_APP_STATS_H

#include "http/http.h"

struct app_stats;

MUST_USE struct app_stats *app_stats_new(unsigned n_loops);
void app_stats_free(struct app_stats *s); /* NULL allowed; no loop may count any more */
/* Counts an answer; an http_answered but for its first argument. Loop threads. */
void app_stats_count(struct app_stats *s, unsigned loop, const struct http_request *r, int status,
                     uint64_t took_us);
/* Appends the object. Any thread. */
void app_stats_write(struct app_stats *s, struct buf *out);

#endif
