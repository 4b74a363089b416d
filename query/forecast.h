/*
 * How long searches of a kind took lately, so that one which will not fit a
 * loop's slice goes to a worker at once instead of being begun twice. Private
 * to query/. Any thread: numbers are read and written without order, and a
 * wrong one costs a little time, never an answer.
 */
#ifndef TAILFIN_QUERY_FORECAST_H
#define TAILFIN_QUERY_FORECAST_H

#include <stdatomic.h>

#include "http/http.h"

enum { QRY_FORECAST_N = 1024 };

struct qry_forecast { /* all-zero: nothing known, all searches are short */
    _Atomic uint32_t us[QRY_FORECAST_N];
};

/* The kind of a request: its collection, fields, flags and length of query, not its words. */
uint32_t qry_forecast_kind(const struct http_request *r);
/* The expected time. */
uint64_t qry_forecast_us(struct qry_forecast *f, uint32_t kind);
void qry_forecast_learn(struct qry_forecast *f, uint32_t kind, uint64_t us);

#endif
