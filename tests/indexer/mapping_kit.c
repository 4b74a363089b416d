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

int
mapping_rig_setup(void **state)
{
    struct mapping_rig *r = xcalloc(1, sizeof *r);
    mapping_kit_init(&r->kit, "7tv");
    *state = r;
    return 0;
}

int
mapping_rig_teardown(void **state)
{
    struct mapping_rig *r = *state;
    mapping_kit_fini(&r->kit);
    arena_fini(&r->arena);
    free(r);
    return 0;
}

enum rc
mapping_rig_run(struct mapping_rig *r, const char *collection, const bson_t *doc, uint64_t now_ms,
                struct ing_mapped *out)
{
    struct ing_mapping_env env = {.relations = NULL, .now_ms = now_ms, .arena = &r->arena};
    return ing_mapping_run(mapping_kit_get(&r->kit, span_str(collection)), doc, &env, out, &r->err);
}
