/*
 * Inside the matching half of query/: what one run knows. passes.c is the
 * spine; the files behind it share these structs. Everything lives in the
 * request's arena.
 *
 *   word   a query token and the terms it reaches at each cost
 *   term   a dictionary term met on the way, the same in all fields and segments
 *   list   the candidates of a word at one cost in one pass (3.4 to 3.6)
 *   pass   a sequence of words that must all match (4.1)
 *   hits   the documents found so far
 */
#ifndef TAILFIN_QUERY_MATCHING_H
#define TAILFIN_QUERY_MATCHING_H

#include "base/map.h"

#include "query/match.h"
#include "query/score.h"
#include "query/walk.h"

enum { QRY_SCRATCH_N = 6 };
enum { QRY_SEQUENCE_MAX = 64 }; /* tokens of a sequence that take part in a field's score */
#define QRY_NONE UINT32_MAX

/* ---- numbers by number: a small hash table in the arena ---- */

struct qry_numbers { /* all-zero is empty */
    uint64_t *keys;  /* key + 1; 0: free */
    uint32_t *values;
    size_t n, cap;
};
/* The place of key's value; inserted as `fallback` if absent. Valid until the next call. */
uint32_t *qry_numbers_put(struct qry_numbers *m, struct arena *arena, uint64_t key,
                          uint32_t fallback);
const uint32_t *qry_numbers_get(const struct qry_numbers *m, uint64_t key);

/* ---- query text ---- */

struct qry_phrase {
    const struct span *words;
    uint32_t n;
};

struct qry_text { /* section 2 */
    const struct span *tokens;
    uint32_t n_tokens; /* 0: match-all */
    const struct span *excluded;
    uint32_t n_excluded;
    const struct qry_phrase *phrases, *excluded_phrases;
    uint32_t n_phrases, n_excluded_phrases;
};

void qry_text_parse(const struct qry_search *s, struct arena *arena, struct qry_text *out);

/* ---- words ---- */

struct qry_word {
    struct span text;
    bool may_prefix; /* the last include token of a query (or of its rewriting) */
    uint32_t id;     /* of the term with the same text */
    unsigned max_cost;      /* 3.1, by length */
    unsigned max_cost_main; /* the same in the main pass, where two switches act */
    unsigned costs_used;    /* bit per cost that some evaluation used: for highlights */
    /* By cost, each [view * n_fields + field]; NULL until asked for. */
    struct qry_reach *reach[QRY_COSTS]; /* terms that a search of the field finds */
    struct qry_reach *loose[QRY_COSTS]; /* terms that count in a document's field (5.1) */
    uint64_t **bits[QRY_COSTS];         /* by view: documents with a loose term in any field */
};

struct qry_run;
struct qry_word *qry_word_get(struct qry_run *r, struct span text, bool may_prefix);
const struct qry_reach *qry_word_reach(struct qry_run *r, struct qry_word *w, unsigned cost);
const struct qry_reach *qry_word_loose(struct qry_run *r, struct qry_word *w, unsigned cost);
/* One bit per document of the view, dead ones included. */
const uint64_t *qry_word_bits(struct qry_run *r, struct qry_word *w, unsigned cost, uint32_t view);

/* ---- terms ---- */

struct qry_term {
    struct span text;
    uint32_t *ords;     /* [view * n_fields + field]; QRY_NONE: absent */
    uint8_t *states;    /* by field: what is known about its documents */
    uint64_t *ranks;    /* by field: popularity; NULL until asked for */
};

uint32_t qry_term_of(struct qry_run *r, uint32_t slot, uint32_t ord);
uint32_t qry_term_named(struct qry_run *r, struct span text);
uint32_t qry_term_ord(struct qry_run *r, uint32_t id, uint32_t slot);
bool qry_term_lives(struct qry_run *r, uint32_t id, uint32_t field);  /* has a live document */
bool qry_term_passes(struct qry_run *r, uint32_t id, uint32_t field); /* one that may match */
uint64_t qry_term_rank(struct qry_run *r, uint32_t id, uint32_t field); /* 3.5 */
uint64_t qry_term_df(struct qry_run *r, uint32_t id, uint32_t field);  /* live documents */

/* ---- candidate lists ---- */

struct qry_list {
    struct qry_word *word; /* whose reach it is */
    unsigned cost;
    /* Complete lists are not written out: a term is a member or it is not. */
    uint32_t part_field;           /* the first field that yielded anything */
    bool is_part_together;         /* the part holds only terms of `together` */
    bool is_narrow;                /* so does the whole */
    struct qry_numbers *together;  /* terms beside the best previous candidate (3.6) */
    struct qry_list *const *used;  /* lists whose terms were taken when this one was made */
    uint32_t n_used;
    struct qry_numbers known;      /* term to MEMBER_ bits */
    uint32_t first;                /* its best candidate; QRY_NONE until asked for */
    /* Lists of an explicit max_candidates are. */
    uint32_t *ids;
    uint32_t n, n_part, cap;
};

struct qry_list_request {
    struct qry_word *word;
    unsigned cost;
    struct qry_list *previous; /* of the token before, where 3.6 applies; NULL else */
    struct qry_list **used;
    uint32_t n_used;
};
/* NULL if there is no candidate. */
struct qry_list *qry_list_new(struct qry_run *r, const struct qry_list_request *q);
/* whole: as first made; else the part that later combinations see (3.4, caching). */
bool qry_list_has(struct qry_run *r, struct qry_list *l, uint32_t id, bool whole);
uint32_t qry_list_first(struct qry_run *r, struct qry_list *l);
/* candidates_ranked.c: the lists of an explicit max_candidates. */
bool qry_list_fill(struct qry_run *r, struct qry_list *l, const struct qry_list_request *q);
/* Parts of 3.6 for both. */
uint32_t qry_fields_of(struct qry_run *r, uint32_t id, uint32_t *fields);
struct qry_numbers *qry_terms_together(struct qry_run *r, const struct qry_list_request *q,
                                       uint32_t previous, uint32_t field);
bool qry_used_has(struct qry_run *r, struct qry_list *const *used, uint32_t n, uint32_t id);
/* The term is the word itself and stands in the field: needs no filter test at cost 0. */
bool qry_list_own(struct qry_run *r, const struct qry_word *w, unsigned cost, uint32_t field);

/* ---- passes ---- */

struct qry_costs { /* of one token: what is left to try */
    uint8_t v[QRY_COSTS];
    uint8_t n;
};

struct qry_combination { /* one in which lists were made: sees them whole */
    uint8_t *costs;
    bool *is_whole;
};

struct qry_pass {
    struct qry_word **words;
    uint32_t n;
    struct qry_word **dropped;
    uint32_t n_dropped;
    bool is_main;      /* the switches on numbers and symbols act */
    bool has_previous; /* 3.6 applies */

    struct qry_costs *costs;             /* by token */
    struct qry_list *(*lists)[QRY_COSTS]; /* by token and cost */
    struct qry_list **made;              /* all lists of the pass */
    uint32_t n_made;
    size_t made_cap;

    /* What was evaluated: combinations with a number below n_done, and those of `whole`. */
    uint64_t n_done;
    struct qry_combination *whole;
    uint32_t n_whole;
    size_t whole_cap;
};

/* pass.c; false once late. */
bool qry_pass_run(struct qry_run *r, struct qry_pass *p);
/* single.c: passes of one word, without reading documents where postings suffice. */
bool qry_single_fits(const struct qry_run *r, const struct qry_pass *p);
bool qry_single_run(struct qry_run *r, struct qry_pass *p);
/* ranked.c: term combinations one by one, for an explicit max_candidates. */
bool qry_ranked_run(struct qry_run *r, struct qry_pass *p, const uint8_t *costs,
                    const bool *is_whole);
/* Whether an earlier pass of as many words evaluated this sequence of terms (4.1). */
bool qry_pass_was_done(struct qry_run *r, const uint32_t *ids, uint32_t n);
/* Whether the pass evaluated it with exactly these costs. */
bool qry_pass_has(struct qry_run *r, struct qry_pass *p, const uint8_t *costs,
                  const uint32_t *ids);
/* The place of cost in the token's list; QRY_NONE. */
uint32_t qry_costs_at(const struct qry_costs *c, unsigned cost);

/* ---- evaluating documents ---- */

struct qry_option { /* a term of the document that can stand for a token */
    uint32_t mark;  /* number of the term within the document */
    uint8_t cost;   /* of the combination */
    uint8_t charge; /* what it counts in the score */
    bool is_prefix;
    bool in_part, in_whole; /* of its list */
};

struct qry_options {
    struct qry_option *v;
    uint32_t n;
    size_t cap;
};

struct qry_marks { /* the text of one field: marks, QRY_NONE for other words, IDX_ELEMENT_END */
    uint32_t *v;
    uint32_t n;
    size_t cap;
};

struct qry_choice { /* what one token stands for */
    uint32_t mark;
    uint8_t cost;
    bool is_prefix;
};

struct qry_doc { /* the document at hand; scratch of the run */
    struct qry_marks *fields;
    uint32_t *terms; /* mark to term id */
    uint32_t n_terms;
    size_t terms_cap;
    struct qry_options *options; /* by token of the pass */
    size_t options_cap;
    uint32_t *dropped; /* mark of each dropped word, QRY_NONE: absent */
    size_t dropped_cap;
    uint32_t *at, *ids; /* scratch of evaluate.c, for `room` tokens */
    struct qry_choice *choices;
    uint8_t *costs;
    uint32_t room;
};

struct qry_sequence {
    struct qry_choice *v; /* the pass's tokens, then dropped ones that the document has */
    uint32_t n, n_kept;
    uint32_t cost; /* C of 5.3 */
};

/* evaluate.c: the best evaluation of a document in a pass; false if there is none. */
struct qry_scope { /* which combinations count */
    const uint8_t *costs;  /* one combination; NULL: all that were evaluated */
    const bool *is_whole;
    bool is_free; /* by single.c: every option of the given costs counts */
};
bool qry_evaluate(struct qry_run *r, struct qry_pass *p, const struct qry_scope *scope,
                  uint32_t view, uint32_t doc);
/* One given sequence of terms: options are the terms themselves. */
bool qry_evaluate_terms(struct qry_run *r, struct qry_pass *p, const uint8_t *costs,
                        const uint32_t *ids, uint32_t view, uint32_t doc);
/* marks.c */
void qry_doc_load(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, uint32_t view,
                  uint32_t doc);
void qry_doc_load_terms(struct qry_run *r, struct qry_pass *p, const uint8_t *costs,
                        const uint32_t *ids, uint32_t view, uint32_t doc);
/* rank.c: the score of a sequence in the loaded document. */
uint64_t qry_rank_sequence(struct qry_run *r, const struct qry_sequence *q, uint32_t n_words,
                           uint64_t *field_score);
/*
 * QUIRK (as recorded from the peer): one edit that leads to a term beginning
 * with a letter of U+0600..U+06FF, two bytes each, is charged as two.
 */
static inline uint8_t
qry_charge(const struct qry_search *s, struct span term, unsigned cost)
{
    bool is_twice = !s->is_full && cost == 1 && term.n >= 2 &&
                    ((unsigned char)term.p[0] & 0xfc) == 0xd8 &&
                    ((unsigned char)term.p[1] & 0xc0) == 0x80;

    return (uint8_t)(is_twice ? 2 : cost);
}
/* word.c: whether one edit may lead from the word to a term that is charged differently. */
bool qry_may_be_charged(const struct qry_search *s, const struct qry_word *w);
/* Whether a token at that cost counts in a field (5.1). */
static inline bool
qry_field_allows(const struct qry_search_field *f, unsigned cost, bool is_prefix)
{
    return cost <= f->num_typos && (!is_prefix || f->has_prefix);
}

/* ---- hits ---- */

struct qry_hit {
    uint32_t view, doc;
    uint64_t text_match, field_score;
};

struct qry_hits {
    uint64_t **found; /* by view */
    uint64_t **twice; /* by view: evaluated more than once */
    struct qry_hit *log;
    size_t n_log, cap;
    uint64_t n;        /* R of section 4: documents, or groups */
    bool is_direct;    /* no document is evaluated twice: reported at once */
    bool is_by_field;  /* 7.4: the field score decides first */
};

void qry_hits_init(struct qry_run *r);
void qry_hits_add(struct qry_run *r, const struct qry_hit *hit);
void qry_hits_flush(struct qry_run *r);

/* ---- the run ---- */

struct qry_run {
    const struct qry_search *s;
    const struct idx_collection *c;
    const struct qry_match_sink *sink;
    struct arena *arena;
    uint32_t n_views, n_fields;
    const struct idx_terms **terms;  /* [view * n_fields + field]; NULL: none */
    const uint64_t *const *words;    /* by view: documents that pass filter and phrases */
    const uint64_t *const *allowed;  /* the same without exclusions */
    bool prefix_differs, typos_differ; /* between the fields */

    struct qry_text text;
    uint64_t ***phrases; /* documents with the phrases, by field (NULL: nowhere) and view */
    struct qry_word **all_words;
    uint32_t n_words;
    size_t words_cap;
    struct qry_term *all_terms;
    uint32_t n_terms;
    size_t terms_cap;
    struct map by_text;            /* term text to id + 1 */
    struct qry_numbers by_place;   /* (slot, ord) to id */
    struct qry_numbers words_by_term; /* id and may_prefix to the place in all_words */
    struct buf term_text;
    struct qry_numbers sequences;  /* ranked.c: hashes of term sequences evaluated */
    struct qry_pass **passes;      /* done */
    uint32_t n_passes;
    size_t passes_cap;

    struct qry_doc doc;
    uint32_t *forward; /* scratch for forward lists */
    uint32_t forward_cap;
    uint32_t *places; /* scratch for positions */
    size_t places_cap;
    struct qry_hits hits;
    uint64_t *scratch[QRY_SCRATCH_N];
    unsigned ticks;
    bool is_late;
};

bool qry_run_is_late(struct qry_run *r);
/* Counts a piece of work; looks at the clock every few thousand. True from the deadline on. */
static inline bool
qry_run_tick(struct qry_run *r)
{
    return (++r->ticks & 1023) == 0 ? qry_run_is_late(r) : r->is_late;
}

uint64_t *qry_run_bits(struct qry_run *r, uint32_t view); /* zeroed, one bit per document */
/* The same, valid until the next call with that number below QRY_SCRATCH_N. */
uint64_t *qry_run_scratch(struct qry_run *r, unsigned number, uint32_t view);
/* A forward list into r->forward, whatever its length; how many numbers. */
uint32_t qry_run_forward(struct qry_run *r, uint32_t slot, uint32_t doc);

static inline uint32_t
qry_slot(const struct qry_run *r, uint32_t view, uint32_t field)
{
    return view * r->n_fields + field;
}

static inline bool
qry_bit(const uint64_t *words, uint32_t i)
{
    return words[i / 64] >> (i % 64) & 1;
}

static inline uint32_t
qry_n_words(uint32_t n_bits)
{
    return (n_bits + 63) / 64;
}

/* Calls each for every bit set, until it says false; whether it never did. */
static inline bool
qry_each_doc(const uint64_t *words, uint32_t n_words, bool (*each)(void *, uint32_t), void *arg)
{
    for (uint32_t i = 0; i < n_words; i++) {
        for (uint64_t word = words[i]; word; word &= word - 1) {
            if (!each(arg, i * 64 + (uint32_t)__builtin_ctzll(word)))
                return false;
        }
    }
    return true;
}

/* ---- the rest of section 2 and 4 ---- */

/* phrase.c: bits of the documents where the words stand side by side in a field. */
void qry_phrase_bits(struct qry_run *r, const struct qry_phrase *p, uint32_t view, uint32_t field,
                     uint64_t *out);
/* Narrows words and allowed; false if nothing can match. */
bool qry_run_restrict(struct qry_run *r, const struct qry_docset *docs);
/* Reports the match-all answer (2.4). */
bool qry_run_match_all(struct qry_run *r);
/* split_join.c: the first rewriting (4.3); 0 if there is none. */
uint32_t qry_split_join(struct qry_run *r, struct span **out);
/* infix.c */
bool qry_infix_run(struct qry_run *r);

struct qry_match { /* what is left for highlighting */
    const struct qry_search *s;
    struct qry_text text;
    struct qry_word *const *words; /* include tokens, then those of a rewriting */
    uint32_t n_words;
};

#endif
