/*
 * Any bytes as a MongoDB document of any collection: refused, or mapped to
 * valid JSON. The first byte chooses the collection; the rest is the document,
 * whose length and last byte are put right so that more than the header is read.
 */
#include "indexer/mapping.h"
#include "schema/profile.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { COLLECTIONS_MAX = 32, BSON_BYTES_MIN = 5 };

static struct arena profile_arena;
static struct ing_mapping *mappings[COLLECTIONS_MAX];
static uint32_t n_mappings;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct sch_profile profile;
    (void)argc;
    (void)argv;
    must(sch_profile_load(SPAN_LIT("7tv"), &profile_arena, &profile, NULL) == RC_OK);
    must(profile.n_collections <= COLLECTIONS_MAX);
    for (; n_mappings < profile.n_collections; n_mappings++)
        must(ing_mapping_new(&profile.collections[n_mappings], &mappings[n_mappings], NULL) ==
             RC_OK);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena arena = {0};
    struct ing_mapping_env env = {.now_ms = 1, .arena = &arena};
    struct ing_mapped mapped;
    struct json json;
    bson_t doc;
    if (n < 1 + BSON_BYTES_MIN || n > INT32_MAX)
        return 0;
    uint32_t length = (uint32_t)n - 1;
    char *copy = xmemdup0(bytes + 1, length);
    memcpy(copy, &length, sizeof length);
    copy[length - 1] = 0;
    if (bson_init_static(&doc, (const uint8_t *)copy, length) &&
        ing_mapping_run(mappings[bytes[0] % n_mappings], &doc, &env, &mapped, NULL) == RC_OK)
        must(json_parse(mapped.doc.json, &arena, &json, NULL) == RC_OK);
    free(copy);
    arena_fini(&arena);
    return 0;
}
