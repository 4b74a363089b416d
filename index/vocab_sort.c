/* The byte order of a vocabulary: a radix sort by eight bytes, which decide nearly always. */
#include "index/vocab.h"

#include "index/keyed.h"
#include "index/terms.h"

/* How many leading bytes all texts have in common. */
static size_t
common_prefix(const struct idx_vocab *v)
{
    struct span first = v->n ? idx_vocab_get(v, 0) : (struct span){0};
    for (uint32_t i = 1; first.n > 0 && i < v->n; i++) {
        struct span term = idx_vocab_get(v, i);
        if (term.n < first.n)
            first.n = term.n;
        while (memcmp(term.p, first.p, first.n) != 0)
            first.n--;
    }
    return first.n;
}

static int
compare(const void *x, const void *y, void *vocab)
{
    const struct idx_vocab *v = vocab;
    const struct idx_keyed *a = x, *b = y;
    if (!idx_vocab_is_packed(v))
        return span_cmp(idx_vocab_get(v, a->number), idx_vocab_get(v, b->number));
    uint64_t low_a = v->ulids.keys[a->number].low, low_b = v->ulids.keys[b->number].low;
    return (low_a > low_b) - (low_a < low_b);
}

/* The keys: eight bytes behind what all terms begin with. */
static void
fill_keys(const struct idx_vocab *v, struct idx_keyed *out)
{
    if (idx_vocab_is_packed(v)) {
        for (uint32_t i = 0; i < v->n; i++)
            out[i] = (struct idx_keyed){v->ulids.keys[i].high, i};
        return;
    }
    size_t prefix = common_prefix(v);
    for (uint32_t i = 0; i < v->n; i++)
        out[i] = (struct idx_keyed){idx_head_of(span_from(idx_vocab_get(v, i), prefix)), i};
}

void
idx_vocab_sort(struct idx_vocab *v, uint32_t *order, uint32_t *rank)
{
    struct idx_keyed *both = xmalloc((size_t)2 * v->n * sizeof *both);
    fill_keys(v, both);
    struct idx_keyed *all = idx_keyed_sort(both, both + v->n, v->n);
    for (uint32_t begin = 0, end; begin < v->n; begin = end) {
        for (end = begin + 1; end < v->n && all[end].key == all[begin].key;)
            end++;
        if (end - begin > 1)
            qsort_r(all + begin, end - begin, sizeof *all, compare, v);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        order[i] = all[i].number;
        rank[all[i].number] = i;
    }
    free(both);
}
