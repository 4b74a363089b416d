/*
 * All of one search request: what to look for (struct qry_search) and what to
 * do with the hits: paging, facets, groups, curation, highlights, fields of
 * the answer. Private to query/. Lives in the request's arena.
 */
#ifndef TAILFIN_QUERY_PLAN_H
#define TAILFIN_QUERY_PLAN_H

#include "query/filter.h"
#include "query/params.h"
#include "query/request.h"

struct qry_names { /* a comma list of the request; blanks trimmed, empty items dropped */
    const struct span *v;
    uint32_t n;
};

enum qry_facet_order { QRY_FACET_BY_COUNT, QRY_FACET_ALPHA_ASC, QRY_FACET_ALPHA_DESC };

struct qry_facet_range { /* begin <= value < end */
    struct span label;
    double begin, end;
};

struct qry_facet {
    uint32_t field;
    enum qry_facet_order order;
    const struct qry_facet_range *ranges; /* sorted by begin */
    uint32_t n_ranges;
};

struct qry_pin {
    uint32_t position; /* from 1 */
    struct span id;
};

struct qry_plan {
    struct qry_search search;
    uint64_t cutoff_ms; /* search_cutoff_ms */

    uint32_t page, per_page, offset; /* offset: of the first hit, whichever way it was given */
    bool is_by_offset;               /* the answer has "offset" instead of "page" */
    uint64_t limit_hits;

    const struct qry_facet *facets;
    uint32_t n_facets, max_facet_values;
    int32_t facet_query_at; /* index in facets; -1: none */
    struct span facet_query;
    unsigned facet_query_num_typos;

    const uint32_t *group_fields;
    uint32_t n_group_fields, group_limit;
    bool groups_missing; /* documents without a value form one group */

    const struct qry_pin *pins; /* by position, then order of the request */
    uint32_t n_pins;
    struct qry_names hidden;
    bool filters_curated;

    struct qry_names include, exclude; /* keys of the stored documents */
    bool includes_all;                 /* include_fields was not given */
    bool is_id_only;                   /* include_fields is exactly id, nothing excluded */
    bool without_out_of, without_time;

    struct qry_names highlight_fields, highlight_full_fields;
    bool has_highlight_fields, has_highlight_v1;
    uint32_t snippet_threshold, highlight_affix;
    struct span start_tag, end_tag;
};

struct qry_limits {
    unsigned per_page_max, filter_ops_max;
    bool is_full; /* default of match */
};

struct qry_parse { /* what parsing a request needs */
    const struct idx_collection *collection;
    const struct tkz_analyzer *analyzer;
    const struct qry_params *params;
    struct qry_limits limits;
    struct arena *arena;
    struct err *err;
};

/*
 * Everything but search.deadline. RC_INVALID, RC_ABSENT (a field), RC_UNPROCESSABLE
 * (per_page) with a sentence.
 */
MUST_USE enum rc qry_plan_parse(const struct qry_parse *in, struct qry_plan *out);

static inline struct qry_filter_parser
qry_parse_filters(const struct qry_parse *in)
{
    return (struct qry_filter_parser){in->collection, in->analyzer, in->limits.filter_ops_max,
                                      in->arena, in->err};
}

/* ---- its parts, one file each ---- */

/* lists.c: comma lists. */
struct qry_names qry_names_of(struct span text, struct arena *arena);
bool qry_names_has(const struct qry_names *names, struct span name);

/* sort_parse.c: the syntax, then (later in the order of checks) the fields. */
struct qry_sort_text {
    struct span name, argument; /* `name(argument):order` */
    bool is_asc;
};
MUST_USE enum rc qry_sort_syntax(const struct qry_parse *in,
                                 struct qry_sort_text out[QRY_SORTS_MAX], uint32_t *n);
MUST_USE enum rc qry_sort_resolve(const struct qry_parse *in, const struct qry_sort_text *texts,
                                  uint32_t n, struct qry_plan *plan);

/* request_fields.c: query_by and the parameters that have one value per field. */
MUST_USE enum rc qry_query_by_parse(const struct qry_parse *in, struct qry_plan *plan);

/* request_extras.c: group_by, facet_by, pinned_hits. */
MUST_USE enum rc qry_group_parse(const struct qry_parse *in, struct qry_plan *plan);
MUST_USE enum rc qry_pins_parse(const struct qry_parse *in, struct qry_plan *plan);
/* facet_parse.c */
MUST_USE enum rc qry_facet_parse(const struct qry_parse *in, struct qry_plan *plan);

#endif
