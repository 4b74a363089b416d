/*
 * sort_by: syntax first (search-semantics 7.5), then what the names mean (7.1,
 * 7.2), because a request's other parts are checked in between.
 */
#include "query/plan.h"

#include <strings.h>

static enum rc
malformed(const struct qry_parse *in)
{
    return err_set(in->err, RC_INVALID, "sort_by must be a list of name:asc or name:desc");
}

/* Takes the next entry off; commas inside parentheses and behind digits do not separate. */
static struct span
next_entry(struct span *rest)
{
    unsigned depth = 0;
    size_t at = 0;

    for (; at < rest->n; at++) {
        char c = rest->p[at];
        char before = at > 0 ? rest->p[at - 1] : ' ';
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == ',' && depth == 0 && !(before >= '0' && before <= '9'))
            break;
    }
    struct span entry = span_of(rest->p, at);
    *rest = at < rest->n ? span_from(*rest, at + 1) : (struct span){0};
    return span_trim(entry);
}

static bool
is_word(struct span s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

static enum rc
read_entry(const struct qry_parse *in, struct span entry, struct qry_sort_text *out)
{
    size_t colon = entry.n;

    for (size_t i = 0; i < entry.n; i++)
        if (entry.p[i] == ':')
            colon = i;
    if (colon == entry.n)
        return malformed(in);
    struct span order = span_trim(span_from(entry, colon + 1));
    out->name = span_trim(span_of(entry.p, colon));
    out->argument = (struct span){0};
    out->is_asc = is_word(order, "asc");
    if (out->name.n == 0 || (!out->is_asc && !is_word(order, "desc")))
        return malformed(in);
    size_t open = span_find(out->name, 0, '(');
    if (open > 0 && open < out->name.n && out->name.p[out->name.n - 1] == ')') {
        out->argument = span_trim(span_of(out->name.p + open + 1, out->name.n - open - 2));
        out->name.n = open;
    }
    return RC_OK;
}

enum rc
qry_sort_syntax(const struct qry_parse *in, struct qry_sort_text out[QRY_SORTS_MAX], uint32_t *n)
{
    struct span text = span_trim(in->params->value[QRY_P_SORT_BY]);

    *n = 0;
    if (text.n == 0)
        return RC_OK;
    for (struct span rest = text; rest.p; (*n)++) {
        if (*n == QRY_SORTS_MAX)
            return err_set(in->err, RC_INVALID, "sort_by takes at most %d entries", QRY_SORTS_MAX);
        enum rc rc = read_entry(in, next_entry(&rest), &out[*n]);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* ---- what the names mean ---- */

/* Splits `key: value`; false if there is no colon or the key is another. */
static bool
argument_of(struct span text, const char *key, struct span *value)
{
    size_t colon = span_find(text, 0, ':');

    if (colon == text.n || !span_eq_str(span_trim(span_of(text.p, colon)), key))
        return false;
    *value = span_trim(span_from(text, colon + 1));
    return true;
}

static enum rc
resolve_text_match(const struct qry_parse *in, const struct qry_sort_text *t, struct qry_sort *out)
{
    struct span value;
    uint64_t buckets = 0;

    out->kind = QRY_SORT_TEXT_MATCH;
    if (t->argument.p && (!argument_of(t->argument, "buckets", &value) ||
                          !span_u64(value, &buckets) || buckets > UINT32_MAX))
        return err_set(in->err, RC_INVALID,
                       "_text_match in sort_by takes (buckets: N) and nothing else");
    out->buckets = (uint32_t)buckets;
    return RC_OK;
}

static enum rc
parse_eval(const struct qry_parse *in, struct span text, int64_t score, struct qry_eval *out)
{
    struct qry_filter_parser parser = qry_parse_filters(in);

    out->score = score;
    enum rc rc = qry_filter_parse(&parser, text, &out->filter);
    if (rc == RC_OK && !out->filter)
        return err_set(in->err, RC_INVALID, "_eval in sort_by has an empty expression");
    return rc;
}

/* One `(expression):score` at the front of *rest. */
static enum rc
next_eval(const struct qry_parse *in, struct span *rest, struct qry_eval *out)
{
    unsigned depth = 0;
    size_t close = rest->n;
    int64_t score;

    for (size_t at = 0; at < rest->n && close == rest->n; at++) {
        if (rest->p[at] == '(')
            depth++;
        else if (rest->p[at] == ')' && --depth == 0)
            close = at;
        if (depth == 0 && close == rest->n)
            break;
    }
    if (close == rest->n)
        return err_set(in->err, RC_INVALID, "_eval in sort_by takes [(expression):score, ...]");
    struct span expression = span_of(rest->p + 1, close - 1);
    struct span behind = span_trim(span_from(*rest, close + 1));
    if (behind.n == 0 || behind.p[0] != ':')
        return err_set(in->err, RC_INVALID, "_eval in sort_by takes [(expression):score, ...]");
    *rest = span_from(behind, 1);
    struct span number = span_trim(span_split(rest, ','));
    *rest = rest->p ? span_trim(*rest) : (struct span){0};
    if (!span_i64(number, &score))
        return err_set(in->err, RC_INVALID, "the score of an _eval in sort_by must be an integer");
    return parse_eval(in, expression, score, out);
}

static enum rc
resolve_eval(const struct qry_parse *in, const struct qry_sort_text *t, struct qry_sort *out)
{
    struct span text = t->argument;
    struct qry_eval *evals = NULL;
    size_t cap = 0;
    enum rc rc = RC_OK;

    out->kind = QRY_SORT_EVAL;
    if (text.n < 2 || text.p[0] != '[' || text.p[text.n - 1] != ']') {
        evals = arena_calloc(in->arena, 1, sizeof *evals);
        out->evals = evals;
        out->n_evals = 1;
        return parse_eval(in, text, 1, evals);
    }
    struct span rest = span_trim(span_of(text.p + 1, text.n - 2));
    while (rc == RC_OK && rest.p && rest.n > 0) {
        evals = arena_grow(in->arena, evals, &cap, out->n_evals + 1, sizeof *evals);
        rc = next_eval(in, &rest, &evals[out->n_evals]);
        out->n_evals++;
    }
    out->evals = evals;
    return rc;
}

static enum rc
resolve_field(const struct qry_parse *in, const struct qry_sort_text *t, struct qry_sort *out)
{
    const struct sch_collection *schema = in->collection->schema;
    int32_t field = sch_field_find(schema, t->name);
    const struct sch_field *f = field < 0 ? NULL : &schema->fields[field];
    struct span value;

    if (!f || !(f->flags & SCH_INDEXED) || !(f->flags & SCH_SORT) || f->flags & SCH_ARRAY)
        return err_set(in->err, RC_ABSENT, "there is no sortable field named %.*s",
                       SPAN_ARG(t->name));
    out->kind = QRY_SORT_FIELD;
    out->field = (uint32_t)field;
    out->missing_first = f->type == SCH_STRING && !t->is_asc;
    if (!t->argument.p)
        return RC_OK;
    if (!argument_of(t->argument, "missing_values", &value))
        return err_set(in->err, RC_INVALID, "a field in sort_by takes (missing_values: first)");
    if (span_eq_str(value, "first"))
        out->missing_first = true;
    else if (span_eq_str(value, "last"))
        out->missing_first = false;
    else if (!span_eq_str(value, "normal"))
        return err_set(in->err, RC_INVALID, "missing_values must be first, last or normal");
    return RC_OK;
}

static enum rc
resolve_one(const struct qry_parse *in, const struct qry_sort_text *t,
            const struct qry_plan *plan, struct qry_sort *out)
{
    *out = (struct qry_sort){.is_asc = t->is_asc};
    if (span_eq_str(t->name, "_text_match"))
        return resolve_text_match(in, t, out);
    if (span_eq_str(t->name, "_eval"))
        return resolve_eval(in, t, out);
    if (span_eq_str(t->name, "_seq_id") && !t->argument.p) {
        out->kind = QRY_SORT_SEQ;
        return RC_OK;
    }
    if (span_eq_str(t->name, "_group_found") && plan->n_group_fields > 0) {
        out->kind = QRY_SORT_GROUP;
        return RC_OK;
    }
    return resolve_field(in, t, out);
}

static void
add_sort(struct qry_search *s, struct qry_sort sort)
{
    s->sorts[s->n_sorts++] = sort;
}

static void
add_implied(const struct qry_parse *in, struct qry_search *s)
{
    int32_t by = in->collection->schema->default_sort;
    bool has_text = false;

    for (uint32_t i = 0; i < s->n_sorts; i++)
        has_text = has_text || s->sorts[i].kind == QRY_SORT_TEXT_MATCH;
    if (s->n_sorts > 0) {
        if (!s->is_wildcard && !has_text && s->n_sorts < QRY_SORTS_MAX)
            add_sort(s, (struct qry_sort){.kind = QRY_SORT_TEXT_MATCH});
        return;
    }
    if (!s->is_wildcard)
        add_sort(s, (struct qry_sort){.kind = QRY_SORT_TEXT_MATCH});
    if (by < 0)
        return; /* the tie decides */
    bool is_string = in->collection->schema->fields[by].type == SCH_STRING;
    add_sort(s, (struct qry_sort){
                    .kind = QRY_SORT_FIELD, .field = (uint32_t)by, .missing_first = is_string});
}

enum rc
qry_sort_resolve(const struct qry_parse *in, const struct qry_sort_text *texts, uint32_t n,
                 struct qry_plan *plan)
{
    struct qry_search *s = &plan->search;
    unsigned n_evals = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct qry_sort sort;
        enum rc rc = resolve_one(in, &texts[i], plan, &sort);
        if (rc != RC_OK)
            return rc;
        n_evals += sort.kind == QRY_SORT_EVAL;
        if (n_evals > 1)
            return err_set(in->err, RC_UNPROCESSABLE, "sort_by takes only one _eval");
        add_sort(s, sort);
    }
    add_implied(in, s);
    return RC_OK;
}
