/* Scores: every formula of search-semantics section 6 and nothing else. */
#include "query/score.h"

enum { TOKENS_MAX = 15, FIELDS_MAX = 7 };

static uint32_t
smallest(const uint32_t *current, uint32_t n)
{
    uint32_t lo = UINT32_MAX;

    for (uint32_t i = 0; i < n; i++)
        lo = current[i] < lo ? current[i] : lo;
    return lo;
}

/* What lies within reach of lo; UINT32_MAX in current: the token has no more places. */
static struct qry_window
look_from(const uint32_t *current, uint32_t n, uint32_t lo)
{
    struct qry_window w = {0, 0, 0};

    for (uint32_t i = 0; i < n; i++) {
        if (current[i] == UINT32_MAX)
            continue;
        if (current[i] > w.furthest)
            w.furthest = current[i];
        if (current[i] - lo > QRY_WINDOW_REACH)
            continue;
        w.words++;
        if (current[i] - lo > w.spread)
            w.spread = current[i] - lo;
    }
    return w;
}

struct qry_window
qry_score_window(const struct qry_places *tokens, uint32_t n)
{
    uint32_t current[QRY_WINDOW_TOKENS], next[QRY_WINDOW_TOKENS] = {0};
    struct qry_window best = {1, UINT32_MAX, 0};
    uint32_t left;

    n = n < QRY_WINDOW_TOKENS ? n : QRY_WINDOW_TOKENS;
    for (uint32_t i = 0; i < n; i++)
        current[i] = tokens[i].at[0];
    for (left = n; left > 1;) {
        uint32_t lo = smallest(current, n), i = 0;
        struct qry_window w = look_from(current, n, lo);
        if (w.words > best.words || (w.words == best.words && w.spread < best.spread))
            best = w;
        if (w.words == n && w.spread == left - 1)
            break;
        while (current[i] != lo)
            i++;
        current[i] = ++next[i] < tokens[i].n ? tokens[i].at[next[i]] : UINT32_MAX;
        left -= current[i] == UINT32_MAX;
    }
    if (best.spread == UINT32_MAX)
        best.spread = 0;
    return best;
}

bool
qry_score_is_exact(const struct qry_places *tokens, uint32_t n, uint32_t spread,
                   uint32_t text_tokens)
{
    uint32_t total = 0;
    bool has_final = false;

    if (spread > n - 1 || text_tokens != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        total += tokens[i].n;
        has_final = has_final || tokens[i].at[tokens[i].n - 1] == n - 1;
    }
    return has_final && ((total == n && spread == n - 1) || spread < n - 1);
}

uint64_t
qry_score_field(uint32_t words, uint32_t unique, uint32_t cost, uint32_t spread, bool is_exact,
                uint32_t position_byte)
{
    uint64_t typo = cost < 255 ? 255 - cost : 0;
    uint64_t proximity = spread < 100 ? 100 - spread : 0;

    return (uint64_t)(words & 255) << 40 | (uint64_t)(unique & 255) << 32 | typo << 24 |
           proximity << 16 | (uint64_t)is_exact << 8 | (position_byte & 255);
}

uint64_t
qry_score_single(uint32_t cost, bool is_exact, bool has_position, uint32_t last)
{
    return qry_score_field(1, 1, cost, 0, is_exact, has_position ? 255 - (last & 255) : 0);
}

uint64_t
qry_score_text_match(enum qry_text_match_type type, uint32_t tokens, bool counts_fields,
                     const struct qry_field_score *fields, uint32_t n, uint64_t *best)
{
    const struct qry_field_score *top = &fields[0], *heaviest = &fields[0];
    uint64_t nf = counts_fields ? (n < FIELDS_MAX ? n : FIELDS_MAX) : 0;
    uint64_t matched = (uint64_t)(tokens < TOKENS_MAX ? tokens : TOKENS_MAX) << 59;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        top = fields[i].score > top->score ? &fields[i] : top;
        heaviest = fields[i].weight > heaviest->weight ? &fields[i] : heaviest;
        sum += fields[i].weight * fields[i].score;
    }
    *best = top->score;
    switch (type) {
    case QRY_MAX_WEIGHT:
        return matched + ((uint64_t)heaviest->weight << 51) + (heaviest->score << 3) + nf;
    case QRY_SUM_SCORE:
        return matched + (sum << 3) + nf;
    case QRY_MAX_SCORE:
    default:
        return matched + (top->score << 11) + ((uint64_t)top->weight << 3) + nf;
    }
}
