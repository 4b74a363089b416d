#include "mapping_kit.h"

void
mapping_kit_init(struct mapping_kit *kit, const char *profile)
{
    struct err err = {0};
    *kit = (struct mapping_kit){0};
    if (sch_profile_load(span_str(profile), &kit->arena, &kit->profile, &err) != RC_OK)
        fprintf(stderr, "%s\n", err.text);
    must(err.rc == RC_OK);
    must(kit->profile.n_collections <= MAPPING_KIT_MAX);
    for (uint32_t i = 0; i < kit->profile.n_collections; i++) {
        if (ing_mapping_new(&kit->profile.collections[i], &kit->v[i], &err) != RC_OK)
            fprintf(stderr, "%s\n", err.text);
        must(err.rc == RC_OK);
    }
}

void
mapping_kit_fini(struct mapping_kit *kit)
{
    for (uint32_t i = 0; i < kit->profile.n_collections; i++)
        ing_mapping_free(kit->v[i]);
    arena_fini(&kit->arena);
}

const struct ing_mapping *
mapping_kit_get(const struct mapping_kit *kit, struct span name)
{
    for (uint32_t i = 0; i < kit->profile.n_collections; i++) {
        if (span_eq(kit->profile.collections[i].name, name))
            return kit->v[i];
    }
    must_fail("the profile has this collection", __FILE__, __LINE__);
}
