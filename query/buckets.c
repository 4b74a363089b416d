/*
 * Cuts the best 250 hits into blocks of equal size, pretends that all of a
 * block have the score of its first, and sorts again. Hits behind the 250th
 * stay where they are: they cannot overtake, since scores are only raised.
 */
#include "query/buckets.h"

uint32_t
qry_buckets_of(const struct qry_search *s)
{
    for (uint32_t i = 0; i < s->n_sorts; i++)
        if (s->sorts[i].kind == QRY_SORT_TEXT_MATCH && s->sorts[i].buckets > 0)
            return s->sorts[i].buckets;
    return 0;
}

void
qry_buckets_apply(struct qry_keys *k, const struct qry_search *s, struct qry_hit *hits, size_t n)
{
    size_t n_buckets = qry_buckets_of(s);
    int key = qry_keys_find(k, QRY_SORT_TEXT_MATCH);

    n = n < QRY_BUCKETED_MAX ? n : QRY_BUCKETED_MAX;
    if (n_buckets == 0 || n < n_buckets || key < 0)
        return;
    size_t block = n / n_buckets;
    for (size_t i = 0; i < n; i++)
        hits[i].keys[key] = hits[i - i % block].keys[key];
    qry_keys_sort(k, hits, n);
}
