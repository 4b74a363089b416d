/* A table of moving averages by the hash of what makes searches long or short. */
#include "query/forecast.h"

#include "base/hash.h"

enum { SHARE = 8, BODY_STEP = 32, US_MAX = 60000000 };

static uint64_t
mix_param(uint64_t hash, const struct http_request *r, const char *name)
{
    const struct http_param *p = http_request_param(r, name);

    return p ? hash64_more(hash, p->value) : hash + 1;
}

uint32_t
qry_forecast_kind(const struct http_request *r)
{
    const struct http_param *q = http_request_param(r, "q");
    size_t length = q ? q->value.n : r->body.n / BODY_STEP;
    uint64_t hash = hash64(r->path);

    hash = hash64_more(hash, span_of((const char *)&length, sizeof length));
    hash = mix_param(hash, r, "query_by");
    hash = mix_param(hash, r, "exhaustive_search");
    hash = mix_param(hash, r, "group_by");
    hash = mix_param(hash, r, "facet_by");
    return (uint32_t)(hash % QRY_FORECAST_N);
}

uint64_t
qry_forecast_us(struct qry_forecast *f, uint32_t kind)
{
    return atomic_load_explicit(&f->us[kind % QRY_FORECAST_N], memory_order_relaxed);
}

void
qry_forecast_learn(struct qry_forecast *f, uint32_t kind, uint64_t us)
{
    _Atomic uint32_t *at = &f->us[kind % QRY_FORECAST_N];
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);
    uint64_t seen = us < US_MAX ? us : US_MAX;

    /* Two threads may lose each other's share: it is an average all the same. */
    atomic_store_explicit(at, (uint32_t)(old - old / SHARE + seen / SHARE),
                          memory_order_relaxed);
}
