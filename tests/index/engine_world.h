/* A fresh directory with an open index and the model beside it: the fixture of cmocka tests. */
#ifndef TAILFIN_TESTS_ENGINE_WORLD_H
#define TAILFIN_TESTS_ENGINE_WORLD_H

#include "tests/index/engine_kit.h"

struct kit_world {
    char *dir;
    struct fs *fs;
    struct idx *idx;
    struct kit_model *m;
    uint64_t seq; /* the last one given out */
};

/* For cmocka_unit_test_setup_teardown. */
int kit_world_set_up(void **state);
int kit_world_tear_down(void **state);
/* Closes the index; the directory can be opened again. */
void kit_world_close(struct kit_world *w);
/* Closes, checks the directory, opens. */
void kit_world_reopen(struct kit_world *w);
/* Closes, opens with other options. */
void kit_world_reopen_with(struct kit_world *w, const struct idx_options *options);
/* A new generation "c<name>", named and complete. */
uint32_t kit_world_make(struct kit_world *w, uint32_t name);
/* Puts documents [begin, end) with n + their number. */
void kit_world_put(struct kit_world *w, uint32_t uid, uint32_t begin, uint32_t end, uint32_t n,
                   enum idx_stage stage);
/* How many segments the collection has now. */
uint32_t kit_world_n_views(struct kit_world *w, uint32_t uid);

#endif
