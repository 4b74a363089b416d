/*
 * The grammar of filter_by: search-semantics section 9.1. Clauses, parentheses
 * and the two operators of equal precedence become a postfix program; what a
 * clause's value means is filter_values.c's business. No recursion: depth and
 * size are bounded by ops_max.
 */
#include "query/filter_parts.h"

enum { MARK_OPEN = 100 }; /* a parenthesis on the operator stack */

struct grammar {
    struct qry_filter_parser parser;
    struct span text;
    size_t at;
    unsigned n_ops;
    struct filter_leaf *leaves;
    struct filter_step *steps;
    size_t n_leaves, n_steps, leaves_cap, steps_cap;
    int *stack; /* FILTER_AND, FILTER_OR, MARK_OPEN */
    size_t n_stack, stack_cap;
    uint32_t depth, depth_max; /* of the evaluation's stack */
};

static bool
is_operator(struct span s, size_t at)
{
    return at + 1 < s.n && (s.p[at] == '&' || s.p[at] == '|') && s.p[at + 1] == s.p[at];
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
push_step(struct grammar *g, enum filter_op op, uint32_t leaf)
{
    g->steps = arena_grow(g->parser.arena, g->steps, &g->steps_cap, g->n_steps + 1,
                          sizeof *g->steps);
    g->steps[g->n_steps++] = (struct filter_step){op, leaf};
    if (op == FILTER_LEAF)
        g->depth++;
    else
        g->depth--;
    if (g->depth > g->depth_max)
        g->depth_max = g->depth;
}

static void
push_mark(struct grammar *g, int mark)
{
    g->stack = arena_grow(g->parser.arena, g->stack, &g->stack_cap, g->n_stack + 1,
                          sizeof *g->stack);
    g->stack[g->n_stack++] = mark;
}

/* Writes out the operators down to the innermost open parenthesis. */
static void
pop_operators(struct grammar *g)
{
    while (g->n_stack > 0 && g->stack[g->n_stack - 1] != MARK_OPEN)
        push_step(g, (enum filter_op)g->stack[--g->n_stack], 0);
}

/*
 * Where the value that begins at `at` with a bracket ends: behind the bracket
 * that closes it, outside backticks. The text's end if there is none.
 */
static size_t
skip_brackets(struct span s, size_t at)
{
    char open = s.p[at], close = open == '[' ? ']' : ')';
    unsigned depth = 0;
    bool is_quoted = false;

    for (; at < s.n; at++) {
        if (s.p[at] == '`')
            is_quoted = !is_quoted;
        if (is_quoted)
            continue;
        if (s.p[at] == open)
            depth++;
        if (s.p[at] == close && --depth == 0)
            return at + 1;
    }
    return s.n;
}

/* Where the clause that begins at `at` ends. */
static size_t
clause_end(struct span s, size_t at)
{
    bool is_quoted = false, has_colon = false;

    while (at < s.n) {
        char c = s.p[at];
        if (c == '`')
            is_quoted = !is_quoted;
        if (!is_quoted && (c == '(' || c == ')' || is_operator(s, at)))
            return at;
        at++;
        if (is_quoted || c != ':' || has_colon)
            continue;
        has_colon = true;
        while (at < s.n && is_blank(s.p[at]))
            at++;
        if (at < s.n && (s.p[at] == '[' || s.p[at] == '('))
            at = skip_brackets(s, at);
    }
    return s.n;
}

static enum rc
count_op(struct grammar *g)
{
    if (++g->n_ops > g->parser.ops_max)
        return err_set(g->parser.err, RC_INVALID,
                       "the filter has more than %u clauses and operators", g->parser.ops_max);
    return RC_OK;
}

static enum rc
read_clause(struct grammar *g)
{
    size_t end = clause_end(g->text, g->at);
    struct span clause = span_trim(span_of(g->text.p + g->at, end - g->at));
    size_t colon = span_find(clause, 0, ':');

    g->at = end;
    if (colon == clause.n)
        return err_set(g->parser.err, RC_INVALID, "filter clause \"%.*s\" has no colon",
                       SPAN_ARG(clause));
    enum rc rc = count_op(g);
    if (rc != RC_OK)
        return rc;
    g->leaves = arena_grow(g->parser.arena, g->leaves, &g->leaves_cap, g->n_leaves + 1,
                           sizeof *g->leaves);
    struct filter_leaf *leaf = &g->leaves[g->n_leaves];
    *leaf = (struct filter_leaf){.is_first = g->n_leaves == 0};
    rc = qry_filter_leaf_parse(&g->parser, span_trim(span_of(clause.p, colon)),
                           span_trim(span_from(clause, colon + 1)), leaf);
    if (rc != RC_OK)
        return rc;
    push_step(g, FILTER_LEAF, (uint32_t)g->n_leaves++);
    return RC_OK;
}

/* Reads `(` or a clause; *is_done once an operator is due. */
static enum rc
read_operand(struct grammar *g, bool *is_done)
{
    char c = g->text.p[g->at];

    if (c == '(') {
        if (g->n_stack > g->parser.ops_max * 2)
            return err_set(g->parser.err, RC_INVALID, "the filter's parentheses are too deep");
        g->at++;
        push_mark(g, MARK_OPEN);
        return RC_OK;
    }
    if (c == ')')
        return err_set(g->parser.err, RC_INVALID,
                       "a closing parenthesis in the filter has nothing before it");
    if (is_operator(g->text, g->at))
        return err_set(g->parser.err, RC_INVALID, "operator %c%c in the filter has no left side", c,
                       c);
    *is_done = true;
    return read_clause(g);
}

/* Reads `)` or an operator; *is_done once an operand is due. */
static enum rc
read_operator(struct grammar *g, bool *is_done)
{
    char c = g->text.p[g->at];

    if (c == ')') {
        pop_operators(g);
        if (g->n_stack == 0)
            return err_set(g->parser.err, RC_INVALID,
                           "the filter has a closing parenthesis without an opening one");
        g->n_stack--;
        g->at++;
        return RC_OK;
    }
    if (!is_operator(g->text, g->at))
        return err_set(g->parser.err, RC_INVALID, "the filter needs && or || at \"%.*s\"",
                       (int)(g->text.n - g->at < 40 ? g->text.n - g->at : 40), g->text.p + g->at);
    enum rc rc = count_op(g);
    if (rc != RC_OK)
        return rc;
    pop_operators(g); /* equal precedence, left to right */
    push_mark(g, c == '&' ? FILTER_AND : FILTER_OR);
    g->at += 2;
    *is_done = true;
    return RC_OK;
}

static enum rc
read_expression(struct grammar *g)
{
    bool needs_operand = true;

    for (;;) {
        while (g->at < g->text.n && is_blank(g->text.p[g->at]))
            g->at++;
        if (g->at == g->text.n)
            break;
        bool is_done = false;
        enum rc rc = needs_operand ? read_operand(g, &is_done) : read_operator(g, &is_done);
        if (rc != RC_OK)
            return rc;
        if (is_done)
            needs_operand = !needs_operand;
    }
    if (needs_operand)
        return err_set(g->parser.err, RC_INVALID, "the filter ends where a clause should follow");
    pop_operators(g);
    if (g->n_stack > 0)
        return err_set(g->parser.err, RC_INVALID, "a parenthesis in the filter is not closed");
    return RC_OK;
}

enum rc
qry_filter_parse(const struct qry_filter_parser *p, struct span text,
                 const struct qry_filter **out)
{
    struct grammar g = {.parser = *p, .text = span_trim(text)};

    if (g.text.n == 0) {
        *out = NULL;
        return RC_OK;
    }
    enum rc rc = read_expression(&g);
    if (rc != RC_OK)
        return rc;
    struct qry_filter *f = arena_calloc(p->arena, 1, sizeof *f);
    f->collection = p->collection;
    f->leaves = g.leaves;
    f->n_leaves = (uint32_t)g.n_leaves;
    f->steps = g.steps;
    f->n_steps = (uint32_t)g.n_steps;
    f->depth = g.depth_max;
    *out = f;
    return RC_OK;
}

const struct qry_filter *
qry_filter_and(const struct qry_filter *a, const struct qry_filter *b, struct arena *arena)
{
    if (!a || !b)
        return a ? a : b;
    struct qry_filter *f = arena_calloc(arena, 1, sizeof *f);
    struct filter_leaf *leaves =
        arena_calloc(arena, a->n_leaves + b->n_leaves, sizeof *leaves);
    struct filter_step *steps =
        arena_calloc(arena, a->n_steps + b->n_steps + 1, sizeof *steps);

    memcpy(leaves, a->leaves, a->n_leaves * sizeof *leaves);
    memcpy(leaves + a->n_leaves, b->leaves, b->n_leaves * sizeof *leaves);
    memcpy(steps, a->steps, a->n_steps * sizeof *steps);
    for (uint32_t i = 0; i < b->n_steps; i++) {
        steps[a->n_steps + i] = b->steps[i];
        steps[a->n_steps + i].leaf += b->steps[i].op == FILTER_LEAF ? a->n_leaves : 0;
    }
    steps[a->n_steps + b->n_steps] = (struct filter_step){.op = FILTER_AND};
    f->collection = a->collection;
    f->leaves = leaves;
    f->n_leaves = a->n_leaves + b->n_leaves;
    f->steps = steps;
    f->n_steps = a->n_steps + b->n_steps + 1;
    f->depth = a->depth > b->depth + 1 ? a->depth : b->depth + 1;
    return f;
}
