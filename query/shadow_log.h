/*
 * The worst disagreements of shadow mode, as JSON lines in the data directory:
 * shadow.log, and shadow.1.log before it. Bounded in rate and in size. Private
 * to query/; one thread.
 */
#ifndef TAILFIN_QUERY_SHADOW_LOG_H
#define TAILFIN_QUERY_SHADOW_LOG_H

#include "base/fs.h"

#include "query/compare.h"
#include "query/outgoing.h"

struct qry_shadow_log;

struct qry_shadow_finding {
    const struct qry_outgoing *asked;
    uint32_t at; /* which of its searches */
    struct qry_top served, replayed;
    struct qry_agreement agreement;
    uint64_t served_us, replayed_us;
};

/* fs may be NULL: nothing is written. served_by: a literal. */
MUST_USE struct qry_shadow_log *qry_shadow_log_new(struct fs *fs, struct log *log,
                                                   const char *served_by);
/* Writes what is left. NULL allowed. */
void qry_shadow_log_free(struct qry_shadow_log *l);
/* Remembers it if it is among the worst of its period; what is needed is copied. */
void qry_shadow_log_add(struct qry_shadow_log *l, const struct qry_shadow_finding *f);
/* Writes the worst down when their period is over. */
void qry_shadow_log_tick(struct qry_shadow_log *l);

#endif
