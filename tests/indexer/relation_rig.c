#include "relation_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static const char *const names[RIG_COLLECTION_N] = {"entitlement_edges", "roles", "emote_sets",
                                                    "users"};

static struct span
schema_name(unsigned collection)
{
    return span_str(names[collection]);
}

int
relation_rig_setup(void **state)
{
    struct relation_rig *f = xcalloc(1, sizeof *f);
    mapping_kit_init(&f->kit, "7tv");
    f->dir = scratch_new();
    must(fs_open_host(f->dir, &f->fs, &f->err) == RC_OK);
    struct idx_options options = {.fs = f->fs,
                                  .refresh_us = 1000,
                                  .commit_us = 1000000,
                                  .ram_bytes_max = 64 << 20,
                                  .n_merge_threads = 1};
    must(idx_open(&options, &f->idx, &f->err) == RC_OK);
    f->reader = idx_reader_new(f->idx);
    f->relations = ing_relations_new();
    f->batch = idx_batch_new();
    for (unsigned i = 0; i < RIG_COLLECTION_N; i++) {
        const struct ing_mapping *m = mapping_kit_get(&f->kit, schema_name(i));
        f->uids[i] = idx_new_uid(f->idx);
        idx_batch_create(f->batch, f->uids[i], ing_mapping_schema(m),
                         tkz_fingerprint(ing_mapping_analyzer(m)));
        idx_batch_name(f->batch, f->uids[i]);
    }
    *state = f;
    return 0;
}

int
relation_rig_teardown(void **state)
{
    struct relation_rig *f = *state;
    idx_reader_end(f->reader);
    idx_reader_free(f->reader);
    ing_relations_free(f->relations);
    idx_batch_free(f->batch);
    must(idx_close(f->idx, &f->err) == RC_OK);
    fs_close(f->fs);
    scratch_free(f->dir);
    mapping_kit_fini(&f->kit);
    arena_fini(&f->arena);
    free(f);
    return 0;
}

void
rig_bind(struct relation_rig *f)
{
    struct ing_relation_uids uids = {f->uids[EDGES], f->uids[ROLES], f->uids[SETS], f->uids[USERS]};
    idx_reader_end(f->reader); /* nothing happens the first time */
    ing_relations_bind(f->relations, idx_reader_begin(f->reader), &uids);
}

void
rig_publish(struct relation_rig *f)
{
    uint64_t ticket = idx_submit(f->idx, &f->batch);
    assert_int_equal(idx_wait(f->idx, ticket, IDX_VISIBLE, 10000000), RC_OK);
    f->batch = idx_batch_new();
    rig_bind(f);
}

void
rig_put(struct relation_rig *f, enum rig_collection collection, bson_t *take)
{
    struct ing_mapped mapped;
    const struct ing_mapping *m = mapping_kit_get(&f->kit, schema_name(collection));
    if (ing_mapping_run(m, take,
                        &(struct ing_mapping_env){.relations = f->relations,
                                                  .now_ms = 1,
                                                  .arena = idx_batch_arena(f->batch)},
                        &mapped, &f->err) != RC_OK)
        fail_msg("%s", f->err.text);
    idx_batch_put(f->batch, f->uids[collection], &mapped.doc);
    bson_destroy(take);
}

void
rig_put_text(struct relation_rig *f, enum rig_collection collection, const char *text)
{
    rig_put(f, collection, doc_of_text(span_str(text)));
}

void
rig_delete(struct relation_rig *f, enum rig_collection collection, struct span id)
{
    idx_batch_delete(f->batch, f->uids[collection], arena_dup(idx_batch_arena(f->batch), id));
}
