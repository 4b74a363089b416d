/* A growing array of 32-bit numbers. All-zero is a valid empty one. */
#ifndef TAILFIN_INDEX_VEC_H
#define TAILFIN_INDEX_VEC_H

#include "base/must.h"
#include "base/span.h"

struct idx_u32s {
    uint32_t *p;
    size_t n, cap;
};

static inline void
idx_u32s_put(struct idx_u32s *v, uint32_t x)
{
    if (v->n == v->cap)
        v->p = xgrow(v->p, &v->cap, v->n + 1, sizeof *v->p);
    v->p[v->n++] = x;
}

static inline void
idx_u32s_reserve(struct idx_u32s *v, size_t n_more)
{
    if (v->cap - v->n < n_more)
        v->p = xgrow(v->p, &v->cap, v->n + n_more, sizeof *v->p);
}

static inline void
idx_u32s_fini(struct idx_u32s *v)
{
    free(v->p);
    *v = (struct idx_u32s){0};
}

/* As little-endian bytes, as they are stored. */
static inline struct span
idx_u32s_span(const struct idx_u32s *v)
{
    return span_of((const char *)v->p, v->n * sizeof *v->p);
}

#endif
