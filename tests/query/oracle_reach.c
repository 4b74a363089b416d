/* Distances by the full table (search-semantics 3.2, 3.3). */
#include "tests/query/oracle.h"

enum { UNITS = 128 };

struct units {
    int32_t v[UNITS];
    int n;
};

static struct units
units_of(struct span s, bool is_full)
{
    struct units u = {{0}, 0};

    for (size_t at = 0; at < s.n; u.n++) {
        u.v[u.n] = (unsigned char)s.p[at];
        at = is_full ? tkz_codepoint_next(s, at, &u.v[u.n]) : at + 1;
    }
    return u;
}

static void
fill_table(const struct units *w, const struct units *t, bool is_full, int d[UNITS][UNITS])
{
    for (int i = 0; i <= w->n; i++) {
        for (int j = 0; j <= t->n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (w->v[i - 1] != t->v[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && (is_full || i > 2) && w->v[i - 1] == t->v[j - 2] &&
                w->v[i - 2] == t->v[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
}

static int
at(const struct units *u, int i)
{
    return i >= 0 && i < u->n ? u->v[i] : -1;
}

static bool
full_reaches(const struct units *w, const struct units *t, int d[UNITS][UNITS], int cost,
             bool may_prefix)
{
    int best = d[w->n][t->n];

    for (int i = 0; i <= w->n && may_prefix; i++)
        best = d[i][t->n] < best ? d[i][t->n] : best;
    return best == cost;
}

bool
oracle_reaches(struct span t_text, struct span w_text, unsigned cost, bool may_prefix,
               bool is_full)
{
    static int d[UNITS][UNITS];
    struct units t = units_of(t_text, is_full), w = units_of(w_text, is_full);
    int c = (int)cost;

    if (!is_full && !may_prefix) {
        t.v[t.n++] = 0;
        w.v[w.n++] = 0;
    }
    fill_table(&w, &t, is_full, d);
    if (is_full)
        return full_reaches(&w, &t, d, c, may_prefix);
    for (int i = 0; i < w.n; i++) {
        int g = d[i + 1][i + 1 < t.n ? i + 1 : t.n];
        if (may_prefix && i + 1 >= t.n && g == c)
            return true;
        if (may_prefix && i + 1 >= t.n + c)
            return false;
        if (g <= c)
            continue;
        bool a = (g == 2 || g == 3) && (w.v[i] == at(&t, i + 1) || w.v[i] == at(&t, i - 1));
        bool b = (g == 3 || g == 4) &&
                 (w.v[i] == at(&t, i - 2) ||
                  (i > 0 && w.v[i - 1] == at(&t, i + 1) && w.v[i] == at(&t, i + 2)));
        if (!a && !b)
            return false;
    }
    return d[w.n][t.n] == c;
}
