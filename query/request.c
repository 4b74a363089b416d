/*
 * The journey of a request's parameters into a plan, in the order in which
 * failures are told: search-semantics sections 11 and 14. The parts that are
 * small languages of their own have their own files.
 */
#include "query/request.h"

#include "query/plan.h"

static enum rc check_query(const struct qry_parse *in, struct qry_plan *plan);
static enum rc read_integers(const struct qry_parse *in, struct qry_plan *plan);
static void read_flags(const struct qry_parse *in, struct qry_plan *plan);
static void read_names(const struct qry_parse *in, struct qry_plan *plan);
static enum rc read_filters(const struct qry_parse *in, struct qry_plan *plan);
static enum rc check_page(const struct qry_parse *in, struct qry_plan *plan);
static enum rc read_drop_mode(const struct qry_parse *in, struct qry_plan *plan);

enum rc
qry_plan_parse(const struct qry_parse *in, struct qry_plan *out)
{
    struct qry_sort_text sorts[QRY_SORTS_MAX];
    uint32_t n_sorts = 0;
    struct qry_plan plan = {.facet_query_at = -1};

    plan.search.collection = in->collection;
    plan.search.analyzer = in->analyzer;
    enum rc rc = check_query(in, &plan);
    if (rc == RC_OK)
        rc = read_integers(in, &plan);
    if (rc == RC_OK)
        rc = qry_sort_syntax(in, sorts, &n_sorts);
    read_flags(in, &plan);
    read_names(in, &plan);
    if (rc == RC_OK)
        rc = qry_query_by_parse(in, &plan);
    if (rc == RC_OK)
        rc = qry_group_parse(in, &plan);
    if (rc == RC_OK)
        rc = read_filters(in, &plan);
    if (rc == RC_OK)
        rc = qry_facet_parse(in, &plan);
    if (rc == RC_OK)
        rc = check_page(in, &plan);
    if (rc == RC_OK)
        rc = read_drop_mode(in, &plan);
    if (rc == RC_OK)
        rc = qry_pins_parse(in, &plan);
    if (rc == RC_OK)
        rc = qry_sort_resolve(in, sorts, n_sorts, &plan);
    if (rc == RC_OK)
        *out = plan;
    return rc;
}

static struct span
value_of(const struct qry_parse *in, enum qry_param id)
{
    return in->params->value[id];
}

static enum rc
check_query(const struct qry_parse *in, struct qry_plan *plan)
{
    if (span_trim(value_of(in, QRY_P_STOPWORDS)).n > 0)
        return err_set(in->err, RC_ABSENT, "there is no stopwords set of that name");
    if (!qry_params_has(in->params, QRY_P_Q))
        return err_set(in->err, RC_INVALID, "parameter q is missing");
    plan->search.q = value_of(in, QRY_P_Q);
    plan->search.is_wildcard = span_eq_str(plan->search.q, "*");
    return RC_OK;
}

/* ---- integers ---- */

static enum rc
read_uint(const struct qry_parse *in, enum qry_param id, uint64_t fallback, uint64_t *out)
{
    uint64_t v = fallback;

    if (qry_params_has(in->params, id)) {
        struct span text = span_trim(value_of(in, id));
        if (!span_u64(text, &v) || v > UINT32_MAX)
            return err_set(in->err, RC_INVALID, "parameter %s must be an unsigned integer",
                           qry_param_name(id));
    }
    *out = v;
    return RC_OK;
}

struct integers {
    uint64_t page, per_page, limit, offset, min_1typo, min_2typo, snippet, affix, facet_values,
        facet_typos, group_limit, max_candidates, limit_hits;
};

static void
take_integers(const struct integers *i, struct qry_plan *plan)
{
    struct qry_search *s = &plan->search;

    s->min_len_1typo = (unsigned)i->min_1typo;
    s->min_len_2typo = (unsigned)i->min_2typo;
    s->max_candidates = i->max_candidates;
    plan->page = (uint32_t)i->page;
    plan->per_page = (uint32_t)i->per_page;
    plan->offset = (uint32_t)i->offset;
    plan->limit_hits = i->limit_hits;
    plan->snippet_threshold = (uint32_t)i->snippet;
    plan->highlight_affix = (uint32_t)i->affix;
    plan->max_facet_values = (uint32_t)i->facet_values;
    plan->facet_query_num_typos = (unsigned)i->facet_typos;
    plan->group_limit = (uint32_t)i->group_limit;
}

static enum rc
read_integers(const struct qry_parse *in, struct qry_plan *plan)
{
    struct integers i = {0};
    struct qry_search *s = &plan->search;
    bool has_facet_query = span_trim(value_of(in, QRY_P_FACET_QUERY)).n > 0;
    const struct {
        enum qry_param id;
        uint64_t fallback, *to;
    } rows[] = {
        {QRY_P_PAGE, 0, &i.page},
        {QRY_P_LIMIT, has_facet_query ? 0 : 10, &i.limit},
        {QRY_P_PER_PAGE, UINT64_MAX, &i.per_page},
        {QRY_P_OFFSET, 0, &i.offset},
        {QRY_P_LIMIT_HITS, UINT32_MAX, &i.limit_hits},
        {QRY_P_MIN_LEN_1TYPO, 4, &i.min_1typo},
        {QRY_P_MIN_LEN_2TYPO, 7, &i.min_2typo},
        {QRY_P_TYPO_TOKENS_THRESHOLD, 1, &s->typo_tokens_threshold},
        {QRY_P_DROP_TOKENS_THRESHOLD, 1, &s->drop_tokens_threshold},
        {QRY_P_MAX_CANDIDATES, 0, &i.max_candidates},
        {QRY_P_MAX_EXTRA_PREFIX, INT16_MAX, &s->max_extra_prefix},
        {QRY_P_MAX_EXTRA_SUFFIX, INT16_MAX, &s->max_extra_suffix},
        {QRY_P_MAX_FACET_VALUES, 10, &i.facet_values},
        {QRY_P_FACET_QUERY_NUM_TYPOS, 2, &i.facet_typos},
        {QRY_P_GROUP_LIMIT, 3, &i.group_limit},
        {QRY_P_SNIPPET_THRESHOLD, 30, &i.snippet},
        {QRY_P_HIGHLIGHT_AFFIX, 4, &i.affix},
        {QRY_P_SEARCH_CUTOFF_MS, 30000, &plan->cutoff_ms},
    };

    for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
        enum rc rc = read_uint(in, rows[k].id, rows[k].fallback, rows[k].to);
        if (rc != RC_OK)
            return rc;
    }
    if (!qry_params_has(in->params, QRY_P_PER_PAGE))
        i.per_page = i.limit;
    take_integers(&i, plan);
    return RC_OK;
}

/* ---- flags, words and lists ---- */

static bool
flag(const struct qry_parse *in, enum qry_param id, bool fallback)
{
    return qry_params_has(in->params, id) ? span_eq_str(value_of(in, id), "true") : fallback;
}

static void
read_words(const struct qry_parse *in, struct qry_search *s)
{
    struct span type = value_of(in, QRY_P_TEXT_MATCH_TYPE);
    struct span split = value_of(in, QRY_P_SPLIT_JOIN_TOKENS);
    struct span rank = value_of(in, QRY_P_RANK_TOKENS_BY);
    struct span match = value_of(in, QRY_P_MATCH);

    s->text_match_type = span_eq_str(type, "max_weight")  ? QRY_MAX_WEIGHT
                         : span_eq_str(type, "sum_score") ? QRY_SUM_SCORE
                                                          : QRY_MAX_SCORE;
    s->split_join = QRY_SPLIT_JOIN_FALLBACK;
    if (span_eq_str(split, "off") || span_eq_str(split, "false"))
        s->split_join = QRY_SPLIT_JOIN_OFF;
    if (span_eq_str(split, "always"))
        s->split_join = QRY_SPLIT_JOIN_ALWAYS;
    s->rank_tokens = QRY_RANK_DEFAULT;
    if (span_eq_str(rank, "frequency") || span_eq_str(rank, "FREQUENCY"))
        s->rank_tokens = QRY_RANK_FREQUENCY;
    if (span_eq_str(rank, "default_sorting_field") || span_eq_str(rank, "DEFAULT_SORTING_FIELD"))
        s->rank_tokens = QRY_RANK_SORTING_FIELD;
    s->is_full = span_eq_str(match, "full") ||
                 (in->limits.is_full && !span_eq_str(match, "compat"));
}

static void
read_flags(const struct qry_parse *in, struct qry_plan *plan)
{
    struct qry_search *s = &plan->search;
    struct span curated = value_of(in, QRY_P_FILTER_CURATED_HITS);

    read_words(in, s);
    s->is_exhaustive = flag(in, QRY_P_EXHAUSTIVE_SEARCH, false);
    s->prioritize_exact_match = flag(in, QRY_P_EXACT_MATCH, true);
    s->prioritize_token_position = flag(in, QRY_P_TOKEN_POSITION, false);
    s->prioritize_num_matching_fields = flag(in, QRY_P_NUM_MATCHING_FIELDS, true);
    s->typos_numerical = flag(in, QRY_P_TYPOS_NUMERICAL, true);
    s->typos_alpha_numerical = flag(in, QRY_P_TYPOS_ALPHA_NUMERICAL, true);
    plan->groups_missing = flag(in, QRY_P_GROUP_MISSING_VALUES, true);
    /* A flag in the newer dialect, 0 or 1 in the older one. */
    plan->filters_curated = span_eq_str(curated, "true") || span_eq_str(curated, "1");
    plan->has_highlight_v1 = flag(in, QRY_P_ENABLE_HIGHLIGHT_V1, true);
    plan->start_tag = SPAN_LIT("<mark>");
    plan->end_tag = SPAN_LIT("</mark>");
    if (qry_params_has(in->params, QRY_P_HIGHLIGHT_START_TAG))
        plan->start_tag = value_of(in, QRY_P_HIGHLIGHT_START_TAG);
    if (qry_params_has(in->params, QRY_P_HIGHLIGHT_END_TAG))
        plan->end_tag = value_of(in, QRY_P_HIGHLIGHT_END_TAG);
}

static void
read_names(const struct qry_parse *in, struct qry_plan *plan)
{
    plan->include = qry_names_of(value_of(in, QRY_P_INCLUDE_FIELDS), in->arena);
    plan->exclude = qry_names_of(value_of(in, QRY_P_EXCLUDE_FIELDS), in->arena);
    plan->includes_all = plan->include.n == 0 || qry_names_has(&plan->include, SPAN_LIT("*"));
    plan->without_out_of = qry_names_has(&plan->exclude, SPAN_LIT("out_of"));
    plan->without_time = qry_names_has(&plan->exclude, SPAN_LIT("search_time_ms"));
    plan->is_id_only = plan->include.n == 1 && plan->exclude.n == 0 &&
                       span_eq_str(plan->include.v[0], "id");
    plan->hidden = qry_names_of(value_of(in, QRY_P_HIDDEN_HITS), in->arena);
    plan->highlight_fields = qry_names_of(value_of(in, QRY_P_HIGHLIGHT_FIELDS), in->arena);
    plan->has_highlight_fields = plan->highlight_fields.n > 0;
    plan->highlight_full_fields =
        qry_names_of(value_of(in, QRY_P_HIGHLIGHT_FULL_FIELDS), in->arena);
}

static enum rc
read_filters(const struct qry_parse *in, struct qry_plan *plan)
{
    const struct qry_params *p = in->params;
    struct qry_filter_parser parser = qry_parse_filters(in);

    for (uint32_t i = 0; i <= p->n_and_filters; i++) {
        const struct qry_filter *one = NULL;
        struct span text = i == 0 ? value_of(in, QRY_P_FILTER_BY) : p->and_filters[i - 1];
        enum rc rc = qry_filter_parse(&parser, text, &one);
        if (rc != RC_OK)
            return rc;
        plan->search.filter = qry_filter_and(plan->search.filter, one, in->arena);
    }
    return RC_OK;
}

static enum rc
check_page(const struct qry_parse *in, struct qry_plan *plan)
{
    if (plan->per_page > in->limits.per_page_max)
        return err_set(in->err, RC_UNPROCESSABLE, "per_page must not be larger than %u",
                       in->limits.per_page_max);
    plan->is_by_offset = plan->page == 0 && plan->offset > 0;
    if (plan->is_by_offset)
        return RC_OK;
    plan->page = plan->page ? plan->page : 1;
    uint64_t offset = (uint64_t)(plan->page - 1) * plan->per_page;
    plan->offset = offset > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)offset;
    return RC_OK;
}

static enum rc
read_drop_mode(const struct qry_parse *in, struct qry_plan *plan)
{
    struct span text = value_of(in, QRY_P_DROP_TOKENS_MODE), rest = text;
    struct qry_search *s = &plan->search;
    uint64_t limit = 1000;

    s->drop_mode = QRY_DROP_RIGHT_TO_LEFT;
    s->drop_both_sides_max = limit;
    if (!text.p || text.n == 0)
        return RC_OK;
    struct span word = span_split(&rest, ':');
    bool has_limit = rest.p != NULL;
    bool is_limit = !has_limit || span_u64(rest, &limit);
    if (span_eq_str(word, "right_to_left") && is_limit)
        return RC_OK;
    if (is_limit && (has_limit || span_eq_str(word, "left_to_right") ||
                     span_eq_str(word, "both_sides"))) {
        bool is_both = span_eq_str(word, "both_sides");
        s->drop_mode = is_both ? QRY_DROP_BOTH_SIDES : QRY_DROP_LEFT_TO_RIGHT;
        s->drop_both_sides_max = limit;
        return RC_OK;
    }
    return err_set(in->err, RC_INVALID,
                   "drop_tokens_mode must be right_to_left, left_to_right or both_sides:N");
}
