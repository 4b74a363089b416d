/* A profile's mappings, for the tests. */
#ifndef TAILFIN_TESTS_INDEXER_MAPPING_KIT_H
#define TAILFIN_TESTS_INDEXER_MAPPING_KIT_H

#include "indexer/mapping.h"
#include "schema/profile.h"

enum { MAPPING_KIT_MAX = 32 };

struct mapping_kit {
    struct arena arena;
    struct sch_profile profile;
    struct ing_mapping *v[MAPPING_KIT_MAX]; /* in the profile's order */
};

/* Aborts with a message if the profile cannot be loaded or compiled. */
void mapping_kit_init(struct mapping_kit *kit, const char *profile);
void mapping_kit_fini(struct mapping_kit *kit);
/* Aborts if there is none of that name. */
const struct ing_mapping *mapping_kit_get(const struct mapping_kit *kit, struct span name);

/* The 7TV profile's mappings, as the state of a group of tests. */
struct mapping_rig {
    struct mapping_kit kit;
    struct arena arena; /* of what was mapped */
    struct err err;     /* why the last document was refused */
};

/* The group's set-up and tear-down. */
int mapping_rig_setup(void **state);
int mapping_rig_teardown(void **state);
/* Maps a document of that collection; out lives as long as the arena. */
enum rc mapping_rig_run(struct mapping_rig *r, const char *collection, const bson_t *doc,
                        uint64_t now_ms, struct ing_mapped *out);

#endif
