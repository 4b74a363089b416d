/*
 * Is an index what MongoDB says it should be? A second index is made from
 * nothing by a bootstrap and both are compared document by document; what
 * users derive is recomputed besides, naively, from the collections.
 */
#ifndef TAILFIN_TESTS_COMPARE_H
#define TAILFIN_TESTS_COMPARE_H

#include "tests/indexer/mongo_rig.h"

struct compare_result {
    size_t n_docs;    /* that should be there */
    size_t n_missing; /* should be there, are not */
    size_t n_stale;   /* differ (search_updated_at apart) */
    size_t n_ghosts;  /* are there, should not be */
    size_t n_wrong;   /* users whose derived values are not the naive ones */
    char first[512];  /* the first finding */
};

/* The rig must be settled and nobody writing. Takes a second or more. */
void compare_rig(struct rig *r, struct compare_result *out);
/* Asserts (cmocka) that there is no difference. */
void compare_assert_equal(struct rig *r);
/* Two open indexes, collection by collection. expected's collections decide. */
void compare_indexes(struct idx *expected, struct idx *actual, struct compare_result *out);

#endif
