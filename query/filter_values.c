/*
 * What the value of one filter clause means, by the field's type:
 * search-semantics section 9.2. Knows the operators in front of values, lists,
 * ranges, backticks and prefixes; errors of 9.3.
 */
#include "query/filter_parts.h"

#include <math.h>

enum number_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

static bool
take(struct span *s, const char *prefix)
{
    if (!span_starts(*s, span_str(prefix)))
        return false;
    *s = span_trim(span_from(*s, strlen(prefix)));
    return true;
}

static bool
is_list(struct span s)
{
    return s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
}

/* The next element of a list: up to a comma outside backticks. False at the end. */
static bool
next_element(struct span *rest, struct span *out)
{
    bool is_quoted = false;
    size_t at = 0;

    if (rest->n == 0)
        return false;
    for (; at < rest->n; at++) {
        char c = rest->p[at];
        if (c == '\\' && at + 1 < rest->n && rest->p[at + 1] == '`')
            at++;
        else if (c == '`')
            is_quoted = !is_quoted;
        else if (c == ',' && !is_quoted)
            break;
    }
    at = at < rest->n ? at : rest->n;
    *out = span_trim(span_of(rest->p, at));
    *rest = at < rest->n ? span_from(*rest, at + 1) : span_of(rest->p + at, 0);
    return true;
}

/* Takes the backticks around a value off. */
static struct span
unquote(struct span s)
{
    if (s.n >= 2 && s.p[0] == '`' && s.p[s.n - 1] == '`')
        return span_of(s.p + 1, s.n - 2);
    return s;
}

static enum rc
check_brackets(const struct qry_filter_parser *p, struct span field, struct span value)
{
    if (value.n > 0 && value.p[0] == '[' && !is_list(value))
        return err_set(p->err, RC_INVALID, "the list of values of filter field %.*s is not closed",
                       SPAN_ARG(field));
    return RC_OK;
}

/* ---- strings ---- */

static const struct span *
tokens_of(const struct qry_filter_parser *p, struct span text, uint32_t *n)
{
    struct tkz_tokens t;

    tkz_text(p->analyzer, text, p->arena, &t);
    struct span *out = arena_calloc(p->arena, t.n ? t.n : 1, sizeof *out);
    for (size_t i = 0; i < t.n; i++)
        out[i] = t.v[i].text;
    *n = (uint32_t)t.n;
    return out;
}

static void
read_text(const struct qry_filter_parser *p, struct span value, struct filter_text *out)
{
    out->is_prefix = value.n > 0 && value.p[value.n - 1] == '*';
    if (out->is_prefix)
        value.n--;
    out->raw = unquote(value);
    out->tokens = tokens_of(p, out->raw, &out->n_tokens);
}

/*
 * Keeps a text that can match. One without a token (`:)`) can match nothing:
 * refused in the first clause of an expression and wherever it is empty, and
 * just no match in later clauses, as clients are used to.
 */
static enum rc
keep_text(const struct qry_filter_parser *p, struct span field, const struct filter_text *t,
          struct filter_leaf *leaf)
{
    bool is_usable = leaf->kind == FILTER_TOKENS ? t->n_tokens > 0 : t->raw.n > 0;

    if (!is_usable && (leaf->is_first || (t->raw.n == 0 && !t->is_prefix)))
        return err_set(p->err, RC_INVALID, "a value of filter field %.*s is empty",
                       SPAN_ARG(field));
    leaf->n_texts += is_usable;
    return RC_OK;
}

static enum rc
read_texts(const struct qry_filter_parser *p, struct span field, struct span value,
           struct filter_leaf *out)
{
    struct filter_text *texts = NULL;
    size_t cap = 0;
    struct span element;

    if (!is_list(value)) {
        texts = arena_calloc(p->arena, 1, sizeof *texts);
        read_text(p, value, texts);
        out->texts = texts;
        return keep_text(p, field, texts, out);
    }
    for (struct span rest = span_of(value.p + 1, value.n - 2); next_element(&rest, &element);) {
        if (element.n == 0)
            continue;
        texts = arena_grow(p->arena, texts, &cap, out->n_texts + 1, sizeof *texts);
        read_text(p, element, &texts[out->n_texts]);
        enum rc rc = keep_text(p, field, &texts[out->n_texts], out);
        if (rc != RC_OK)
            return rc;
    }
    out->texts = texts;
    return RC_OK;
}

static enum rc
read_string_leaf(const struct qry_filter_parser *p, struct span field, struct span value,
                 struct filter_leaf *out)
{
    if (take(&value, "!=")) {
        out->is_negated = out->is_whole = true;
    } else if (take(&value, "!")) {
        out->is_negated = true;
    } else if (take(&value, "==") || take(&value, "=")) {
        out->is_whole = true;
    }
    if (out->kind == FILTER_VALUES)
        out->is_whole = true;
    enum rc rc = check_brackets(p, field, value);
    return rc == RC_OK ? read_texts(p, field, value, out) : rc;
}

static enum rc
read_id_leaf(const struct qry_filter_parser *p, struct span value, struct filter_leaf *out)
{
    struct filter_text *texts = NULL;
    size_t cap = 0;
    struct span element;

    out->is_negated = take(&value, "!=");
    if (!out->is_negated)
        (void)(take(&value, "==") || take(&value, "="));
    if (span_eq_str(value, "*")) {
        out->kind = FILTER_ALL;
        return RC_OK;
    }
    struct span rest = is_list(value) ? span_of(value.p + 1, value.n - 2) : value;
    if (rest.n == 0 && !is_list(value))
        return err_set(p->err, RC_INVALID, "the value of filter field id is empty");
    out->kind = FILTER_IDS;
    if (!is_list(value)) {
        texts = arena_calloc(p->arena, 1, sizeof *texts);
        texts->raw = unquote(value);
        out->n_texts = 1;
        rest.n = 0;
    }
    while (next_element(&rest, &element)) {
        if (element.n == 0)
            continue;
        texts = arena_grow(p->arena, texts, &cap, out->n_texts + 1, sizeof *texts);
        texts[out->n_texts++] = (struct filter_text){.raw = unquote(element)};
    }
    out->texts = texts;
    return RC_OK;
}

/* ---- numbers ---- */

static enum number_op
take_number_op(struct span *s)
{
    static const struct {
        const char *text;
        enum number_op op;
    } ops[] = {{"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE},
               {"<", OP_LT},  {">", OP_GT},  {"=", OP_EQ}};

    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (take(s, ops[i].text))
            return ops[i].op;
    return OP_EQ;
}

/* Where the two dots of a range are; text.n if it is none. */
static size_t
find_dots(struct span s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '.' && s.p[i + 1] == '.')
            return i;
    return s.n;
}

static const struct filter_range nothing = {.lo = 1, .hi = 0, .f_lo = 1, .f_hi = 0};

static struct span
without_plus(struct span s)
{
    return s.n > 1 && s.p[0] == '+' && s.p[1] != '-' ? span_from(s, 1) : s;
}

static enum rc
read_int(const struct qry_filter_parser *p, const struct sch_field *f, struct span text,
         int64_t *out)
{
    if (!span_i64(without_plus(text), out))
        return err_set(p->err, RC_INVALID, "filter field %.*s needs an integer, not \"%.*s\"",
                       SPAN_ARG(f->name), SPAN_ARG(text));
    if (f->type == SCH_INT32 && (*out < INT32_MIN || *out > INT32_MAX))
        return err_set(p->err, RC_INVALID, "%.*s does not fit the 32 bits of filter field %.*s",
                       SPAN_ARG(text), SPAN_ARG(f->name));
    return RC_OK;
}

static void
int_range(enum number_op op, int64_t v, struct filter_range *out)
{
    bool is_open = (op == OP_LT && v == INT64_MIN) || (op == OP_GT && v == INT64_MAX);

    if (is_open) {
        *out = nothing;
        return;
    }
    *out = (struct filter_range){.lo = v, .hi = v, .is_not = op == OP_NE};
    if (op == OP_LT || op == OP_LE)
        out->lo = INT64_MIN;
    if (op == OP_GT || op == OP_GE)
        out->hi = INT64_MAX;
    if (op == OP_LT)
        out->hi--;
    if (op == OP_GT)
        out->lo++;
}

static enum rc
read_float(const struct qry_filter_parser *p, const struct sch_field *f, struct span text,
           float *out)
{
    double v;

    if (!span_double(without_plus(text), &v))
        return err_set(p->err, RC_INVALID, "filter field %.*s needs a number, not \"%.*s\"",
                       SPAN_ARG(f->name), SPAN_ARG(text));
    *out = (float)v;
    return RC_OK;
}

static void
float_range(enum number_op op, float v, struct filter_range *out)
{
    *out = (struct filter_range){.f_lo = v, .f_hi = v, .is_not = op == OP_NE};
    if (op == OP_LT || op == OP_LE)
        out->f_lo = -INFINITY;
    if (op == OP_GT || op == OP_GE)
        out->f_hi = INFINITY;
    if (op == OP_LT)
        out->f_hi = nextafterf(v, -INFINITY);
    if (op == OP_GT)
        out->f_lo = nextafterf(v, INFINITY);
}

/* `lo..hi`; a missing end means no value at all. */
static enum rc
read_dots(const struct qry_filter_parser *p, const struct sch_field *f, struct span text,
          size_t dots, struct filter_range *out)
{
    struct span lo = span_trim(span_of(text.p, dots)), hi = span_trim(span_from(text, dots + 2));
    struct filter_range r = {0};
    enum rc rc;

    if (lo.n == 0 || hi.n == 0) {
        *out = nothing;
        return RC_OK;
    }
    if (f->type == SCH_FLOAT) {
        rc = read_float(p, f, lo, &r.f_lo);
        if (rc == RC_OK)
            rc = read_float(p, f, hi, &r.f_hi);
    } else {
        rc = read_int(p, f, lo, &r.lo);
        if (rc == RC_OK)
            rc = read_int(p, f, hi, &r.hi);
    }
    if (rc == RC_OK)
        *out = r;
    return rc;
}

static enum rc
read_range(const struct qry_filter_parser *p, const struct sch_field *f, struct span text,
           struct filter_range *out)
{
    enum number_op op = take_number_op(&text);
    size_t dots = find_dots(text);
    int64_t i = 0;
    float x = 0;
    enum rc rc;

    if (dots < text.n && (op == OP_EQ || op == OP_NE)) {
        rc = read_dots(p, f, text, dots, out);
        if (rc == RC_OK)
            out->is_not = op == OP_NE;
        return rc;
    }
    if (f->type == SCH_FLOAT) {
        rc = read_float(p, f, text, &x);
        if (rc == RC_OK)
            float_range(op, x, out);
        return rc;
    }
    rc = read_int(p, f, text, &i);
    if (rc == RC_OK)
        int_range(op, i, out);
    return rc;
}

static enum rc
read_bool(const struct qry_filter_parser *p, const struct sch_field *f, struct span text,
          struct filter_range *out)
{
    bool is_true = span_eq_str(text, "true");

    if (!is_true && !span_eq_str(text, "false"))
        return err_set(p->err, RC_INVALID, "filter field %.*s needs true or false, not \"%.*s\"",
                       SPAN_ARG(f->name), SPAN_ARG(text));
    *out = (struct filter_range){.lo = is_true, .hi = is_true};
    return RC_OK;
}

static enum rc
read_value(const struct qry_filter_parser *p, const struct sch_field *f, struct span text,
           struct filter_range *out)
{
    return f->type == SCH_BOOL ? read_bool(p, f, text, out) : read_range(p, f, text, out);
}

static enum rc
read_number_leaf(const struct qry_filter_parser *p, const struct sch_field *f, struct span value,
                 struct filter_leaf *out)
{
    struct filter_range *ranges = NULL;
    size_t cap = 0;
    struct span element, inside = value;

    out->kind = f->type == SCH_FLOAT ? FILTER_FLOATS : FILTER_NUMBERS;
    if (take(&inside, "!=")) {
        out->is_negated = f->type == SCH_BOOL || is_list(inside);
    } else {
        (void)take(&inside, "=");
    }
    if (f->type == SCH_BOOL || is_list(inside))
        value = inside;
    enum rc rc = check_brackets(p, f->name, value);
    if (rc != RC_OK)
        return rc;
    if (!is_list(value)) {
        ranges = arena_calloc(p->arena, 1, sizeof *ranges);
        out->ranges = ranges;
        out->n_ranges = 1;
        return read_value(p, f, value, ranges);
    }
    for (struct span rest = span_of(value.p + 1, value.n - 2); next_element(&rest, &element);) {
        if (element.n == 0)
            continue;
        ranges = arena_grow(p->arena, ranges, &cap, out->n_ranges + 1, sizeof *ranges);
        rc = read_value(p, f, element, &ranges[out->n_ranges]);
        if (rc != RC_OK)
            return rc;
        out->n_ranges++;
    }
    out->ranges = ranges;
    return RC_OK;
}

enum rc
qry_filter_leaf_parse(const struct qry_filter_parser *p, struct span field, struct span value,
                      struct filter_leaf *out)
{
    if (span_eq_str(field, "id"))
        return read_id_leaf(p, value, out);
    int32_t number = sch_field_find(p->collection->schema, field);
    if (number < 0)
        return err_set(p->err, RC_INVALID, "there is no field named %.*s to filter by",
                       SPAN_ARG(field));
    const struct sch_field *f = &p->collection->schema->fields[number];
    if (!(f->flags & SCH_INDEXED))
        return err_set(p->err, RC_INVALID, "field %.*s is not indexed and cannot be filtered by",
                       SPAN_ARG(field));
    out->field = (uint32_t)number;
    out->key = arena_printf(p->arena, "%u:%.*s", out->field, SPAN_ARG(value));
    if (f->type != SCH_STRING)
        return read_number_leaf(p, f, value, out);
    out->kind = f->flags & SCH_EXACT ? FILTER_VALUES : FILTER_TOKENS;
    return read_string_leaf(p, field, value, out);
}
