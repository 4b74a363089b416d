#include "base/arena.h"

#include <stdarg.h>

/* Under AddressSanitizer unused room is poisoned, so that a write past an
 * allocation is found although malloc knows only whole blocks. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 16, BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t n_bytes; /* behind this head */
};

_Static_assert(sizeof(struct arena_block) % ALIGN == 0, "data behind the head is aligned");

static char *
block_data(struct arena_block *block)
{
    return (char *)(block + 1);
}

static struct arena_block *
block_new(struct arena *a, size_t n_bytes)
{
    struct arena_block *block = xmalloc(sizeof *block + n_bytes);
    block->n_bytes = n_bytes;
    a->total_bytes += sizeof *block + n_bytes;
    ASAN_POISON_MEMORY_REGION(block_data(block), n_bytes);
    return block;
}

static void
block_free(struct arena *a, struct arena_block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block_data(block), block->n_bytes);
    a->total_bytes -= sizeof *block + block->n_bytes;
    free(block);
}

/* Makes room for n bytes that the newest block does not have. */
COLD static void *
alloc_slow(struct arena *a, size_t n)
{
    size_t wanted = a->blocks ? a->blocks->n_bytes * 2 : BLOCK_MIN;
    if (wanted > BLOCK_MAX)
        wanted = BLOCK_MAX;
    /* A large piece gets a block of its own behind the newest, whose free
     * room stays in use. */
    if (n > wanted / 2 && a->blocks) {
        struct arena_block *big = block_new(a, n);
        big->next = a->blocks->next;
        a->blocks->next = big;
        return block_data(big);
    }
    struct arena_block *block = block_new(a, n > wanted ? n : wanted);
    block->next = a->blocks;
    a->blocks = block;
    a->at = block_data(block) + n;
    a->end = block_data(block) + block->n_bytes;
    return block_data(block);
}

void *
arena_alloc(struct arena *a, size_t n_bytes)
{
    must(n_bytes <= SIZE_MAX / 4);
    size_t n = n_bytes ? (n_bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    void *p;
    if (n <= (size_t)(a->end - a->at)) {
        p = a->at;
        a->at += n;
    } else {
        p = alloc_slow(a, n);
    }
    ASAN_UNPOISON_MEMORY_REGION(p, n_bytes);
    return p;
}

void *
arena_calloc(struct arena *a, size_t n, size_t size)
{
    must(size == 0 || n <= SIZE_MAX / 4 / size);
    void *p = arena_alloc(a, n * size);
    memset(p, 0, n * size);
    return p;
}

void *
arena_grow(struct arena *a, void *p, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return p;
    size_t wanted = *cap < 4 ? 8 : *cap * 2;
    if (wanted < need)
        wanted = need;
    must(size == 0 || wanted <= SIZE_MAX / 4 / size);
    void *q = arena_alloc(a, wanted * size);
    if (*cap)
        memcpy(q, p, *cap * size);
    *cap = wanted;
    return q;
}

struct span
arena_dup(struct arena *a, struct span s)
{
    return (struct span){arena_str(a, s), s.n};
}

char *
arena_str(struct arena *a, struct span s)
{
    must(s.n < SIZE_MAX);
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct span
arena_printf(struct arena *a, const char *format, ...)
{
    char small[256];
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    must(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    if ((size_t)n < sizeof small)
        memcpy(p, small, (size_t)n + 1);
    else
        vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return (struct span){p, (size_t)n};
}

void
arena_reset(struct arena *a)
{
    /* The largest block of the usual sizes stays: after a few uses an arena
     * serves a whole request from it. */
    struct arena_block *kept = NULL;
    for (struct arena_block *b = a->blocks; b; b = b->next)
        if (b->n_bytes <= BLOCK_MAX && (!kept || b->n_bytes > kept->n_bytes))
            kept = b;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (b != kept)
            block_free(a, b);
    }
    a->blocks = kept;
    a->at = a->end = NULL;
    if (!kept)
        return;
    kept->next = NULL;
    a->at = block_data(kept);
    a->end = a->at + kept->n_bytes;
    ASAN_POISON_MEMORY_REGION(a->at, kept->n_bytes);
}

void
arena_fini(struct arena *a)
{
    if (!a)
        return;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        block_free(a, b);
    }
    *a = (struct arena){0};
}
