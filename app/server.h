/*
 * `tailfin serve`: everything that runs while the program serves, and the
 * order in which it is started and stopped.
 */
#ifndef TAILFIN_APP_SERVER_H
#define TAILFIN_APP_SERVER_H

#include <stdatomic.h>

#include "base/conf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/http.h"
#include "index/writer.h"
#include "indexer/indexer.h"
#include "query/query.h"
#include "schema/profile.h"

#include "app/machine.h"
#include "app/stats.h"

struct app {
    const struct conf *conf;
    struct log *log;
    struct metrics *metrics;
    struct metrics_block *counts; /* shared by the loops; for rare events only */
    struct fs *fs;
    struct idx *idx;
    struct qry *qry;
    struct arena profile_memory;
    struct sch_profile profile;
    struct ing_mongo *mongo; /* NULL: standalone */
    struct ing_api *api;
    struct http_server *http;
    struct app_stats *stats;
    struct app_machine machine; /* what monitoring knows of the last look at it */
    uint64_t begin_us;
    atomic_bool is_started, is_stopping;
};

/* Runs until SIGTERM or SIGINT. Returns the program's exit status. */
int app_serve(const struct conf *conf);

#endif
