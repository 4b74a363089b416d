/*
 * One field's value on its way into the index. Mapping and API meet here, so
 * that a document has the same tokens whichever way it came.
 */
#include "indexer/document.h"

/* Tokens of one element, as spans that live in the arena. */
static void
put_tokens(const struct tkz_analyzer *analyzer, struct span element, struct arena *arena,
           struct idx_text *out)
{
    struct tkz_tokens tokens;
    tkz_text(analyzer, element, arena, &tokens);
    struct span *spans = arena_alloc(arena, tokens.n * sizeof *spans);
    for (size_t i = 0; i < tokens.n; i++)
        spans[i] = tokens.v[i].text;
    out->tokens = spans;
    out->n_tokens = (uint32_t)tokens.n;
}

static void
put_sort_key(const struct tkz_analyzer *analyzer, struct span element, struct arena *arena,
             struct idx_text *out)
{
    struct buf key = {0};
    tkz_sort_key(analyzer, element, &key);
    out->sort_key = arena_dup(arena, buf_span(&key));
    buf_fini(&key);
}

void
ing_value_strings(const struct sch_field *field, const struct tkz_analyzer *analyzer,
                  const struct span *elements, uint32_t n, struct arena *arena,
                  struct idx_value *out)
{
    bool has_tokens = (field->flags & SCH_INDEXED) && !(field->flags & SCH_EXACT);
    bool has_value = field->flags & (SCH_FACET | SCH_EXACT);
    bool has_key = (field->flags & SCH_SORT) && !(field->flags & SCH_ARRAY);
    *out = (struct idx_value){0};
    if (n == 0 || !(field->flags & SCH_INDEXED))
        return;
    struct idx_text *texts = arena_calloc(arena, n, sizeof *texts);
    for (uint32_t i = 0; i < n; i++) {
        struct span element = elements[i];
        if (has_tokens)
            put_tokens(analyzer, element, arena, &texts[i]);
        if (has_value)
            texts[i].value =
                span_of(element.p, element.n < IDX_VALUE_MAX ? element.n : IDX_VALUE_MAX);
        if (has_key)
            put_sort_key(analyzer, element, arena, &texts[i]);
    }
    out->n = n;
    out->text = texts;
}

void
ing_value_ints(const int64_t *v, uint32_t n, struct arena *arena, struct idx_value *out)
{
    *out = (struct idx_value){0};
    if (n == 0)
        return;
    int64_t *copy = arena_alloc(arena, n * sizeof *copy);
    memcpy(copy, v, n * sizeof *copy);
    out->n = n;
    out->i64 = copy;
}

void
ing_value_floats(const double *v, uint32_t n, struct arena *arena, struct idx_value *out)
{
    *out = (struct idx_value){0};
    if (n == 0)
        return;
    double *copy = arena_alloc(arena, n * sizeof *copy);
    memcpy(copy, v, n * sizeof *copy);
    out->n = n;
    out->f64 = copy;
}
