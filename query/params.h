/*
 * The parameters of one search before they mean anything: which were given,
 * and their texts, wherever they came from (URL, an element of a multi_search
 * body, a scoped key). Private to query/.
 */
#ifndef TAILFIN_QUERY_PARAMS_H
#define TAILFIN_QUERY_PARAMS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "http/http.h"

#define PARAM(id, name) QRY_P_##id,
enum qry_param {
#include "query/params.def"
    QRY_PARAM_N
};
#undef PARAM

enum { QRY_AND_FILTERS_MAX = 4 };

/* All-zero: nothing given. A value that was given has a p that is not NULL, also if empty. */
struct qry_params {
    struct span value[QRY_PARAM_N];
    /* Further filters, each an expression of its own: all must hold. Kept apart
     * from filter_by so that no trick with quotes or parentheses in one of them
     * can reach into another (a scoped key's filter is a right, not a wish). */
    struct span and_filters[QRY_AND_FILTERS_MAX];
    uint32_t n_and_filters;
};

/* The parameter's name as clients write it; static. */
const char *qry_param_name(enum qry_param id);
/* The enum qry_param of a name; -1 if params.def has no such row. */
int qry_param_find(struct span name);

/* Sets one by name; the last one wins, a repeated filter_by is joined with &&. */
void qry_params_add(struct qry_params *p, struct span name, struct span value, struct arena *arena);
void qry_params_url(struct qry_params *p, const struct http_param *params, size_t n,
                    struct arena *arena);

/*
 * Reads an object's members: strings, numbers and bools. RC_INVALID with a
 * sentence for others (where is_lenient: they are skipped, for scoped keys).
 */
MUST_USE enum rc qry_params_json(struct qry_params *p, const struct json *object, bool is_lenient,
                                 struct arena *arena, struct err *err);

/*
 * What is given in over replaces what base has; but filters are all kept.
 */
void qry_params_override(struct qry_params *base, const struct qry_params *over);

static inline bool
qry_params_has(const struct qry_params *p, enum qry_param id)
{
    return p->value[id].p != NULL;
}

#endif
