/*
 * Memory that is freed all at once: of a request, a batch, a parsed file. One
 * thread at a time. All-zero is a valid empty arena.
 */
#ifndef TAILFIN_BASE_ARENA_H
#define TAILFIN_BASE_ARENA_H

#include "base/must.h"
#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *at, *end;             /* free room in the newest block */
    size_t total_bytes;         /* taken from malloc */
};

/* Aligned to 16 bytes, not zeroed; never NULL. n may be 0. Aborts when memory is out. */
MUST_USE void *arena_alloc(struct arena *a, size_t n_bytes);
/* Zeroed array; aborts if n * size overflows. */
MUST_USE void *arena_calloc(struct arena *a, size_t n, size_t size);
/* Grows the array p of *cap elements as xgrow does; the old place is wasted. */
MUST_USE void *arena_grow(struct arena *a, void *p, size_t *cap, size_t need, size_t size);
struct span arena_dup(struct arena *a, struct span s);    /* copies; adds a NUL behind */
char *arena_str(struct arena *a, struct span s);          /* the same as a C string */
PRINTF_LIKE(2, 3) struct span arena_printf(struct arena *a, const char *format, ...);
/* Frees everything but one block, which is kept for the next use. */
void arena_reset(struct arena *a);
/* Frees everything; the arena is empty and valid again. NULL allowed. */
void arena_fini(struct arena *a);

#endif
