/* Inside the oracle. */
#ifndef TAILFIN_TESTS_QUERY_ORACLE_PARTS_H
#define TAILFIN_TESTS_QUERY_ORACLE_PARTS_H

#include "tests/query/oracle.h"

struct oracle_run {
    struct oracle *o;
    const struct qry_search *s;
    struct arena *arena;
    struct qry_text text;
    struct map sequences; /* term sequences evaluated so far */
    uint64_t n_found;
    bool groups[64];
};

struct oracle_choice {
    struct span term;
    unsigned cost;
    bool is_prefix;
};

struct oracle_value {
    uint64_t text_match, field_score;
};

bool oracle_field_has(const struct oracle_field *f, struct span term);

/* False if some kept token stands nowhere. */
bool oracle_score(const struct oracle_run *r, const struct oracle_doc *d,
                  const struct oracle_choice *v, uint32_t n_kept, const struct span *dropped,
                  uint32_t n_dropped, struct oracle_value *out);

struct oracle_token {
    struct span text;
    bool may_prefix;
};

struct oracle_list {
    struct span *terms;
    uint32_t n, n_part;
    size_t cap;
};

struct oracle_pass {
    struct oracle_token *tokens;
    uint32_t n;
    struct span *dropped;
    uint32_t n_dropped;
    bool is_main, has_previous;
};

/* oracle_lists.c: the candidates of a token at a cost; used is read and extended. */
struct oracle_wanted {
    struct oracle_token token;
    unsigned cost;
    const struct oracle_list *previous; /* NULL: 3.6 does not apply */
    struct oracle_list *used;
};
void oracle_list_make(struct oracle_run *r, const struct oracle_wanted *w,
                      struct oracle_list *out);
bool oracle_list_has(const struct oracle_list *l, struct span term);
void oracle_list_add(struct oracle_run *r, struct oracle_list *l, struct span term);
/* A live document has the term in the field (of query_by). */
bool oracle_term_lives(const struct oracle_run *r, struct span term, uint32_t field);

/* oracle_split.c: 4.3; 0: no rewriting. */
uint32_t oracle_split_join(struct oracle_run *r, struct span **out);

#endif
