/*
 * A real index with the collections that users are derived from, and relations
 * bound to its newest state, for the tests.
 */
#ifndef TAILFIN_TESTS_INDEXER_RELATION_RIG_H
#define TAILFIN_TESTS_INDEXER_RELATION_RIG_H

#include "doc_text.h"
#include "mapping_kit.h"

enum rig_collection { EDGES, ROLES, SETS, USERS, RIG_COLLECTION_N };

struct relation_rig {
    struct mapping_kit kit;
    struct arena arena;
    struct err err;
    char *dir;
    struct fs *fs;
    struct idx *idx;
    struct idx_reader *reader;
    struct idx_batch *batch; /* what will be published next */
    struct ing_relations *relations;
    uint32_t uids[RIG_COLLECTION_N];
};

/* cmocka's setup and teardown: *state is a struct relation_rig. */
int relation_rig_setup(void **state);
int relation_rig_teardown(void **state);
/* Binds the relations to the newest snapshot. */
void rig_bind(struct relation_rig *f);
/* Makes what was put visible and binds the relations to it. */
void rig_publish(struct relation_rig *f);
/* Maps the document with the relations as they are bound and puts it; *take is destroyed. */
void rig_put(struct relation_rig *f, enum rig_collection collection, bson_t *take);
void rig_put_text(struct relation_rig *f, enum rig_collection collection, const char *text);
void rig_delete(struct relation_rig *f, enum rig_collection collection, struct span id);

#endif
