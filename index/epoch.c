/*
 * The slots of readers and the swap of snapshots; epoch.h tells why it is
 * right. The only file where a reader and the writer touch the same memory
 * at the same time.
 */
#include "index/epoch.h"

enum { LINE = 64 };

struct idx_reader {
    atomic_uint_fast64_t epoch; /* 0: not reading. Written by the reader */
    atomic_bool is_taken;       /* between join and free */
    char room[LINE - sizeof(atomic_uint_fast64_t) - sizeof(atomic_bool) -
              sizeof(struct idx_epochs *)];
    struct idx_epochs *epochs; /* written while joining */
};

void
idx_epochs_init(struct idx_epochs *e, const struct idx_snapshot *first)
{
    e->memory = xcalloc(IDX_READERS_MAX + 1, sizeof(struct idx_reader));
    uintptr_t at = ((uintptr_t)e->memory + LINE - 1) / LINE * LINE;
    e->slots = (struct idx_reader *)at;
    atomic_init(&e->newest, first);
    atomic_init(&e->epoch, 1);
    atomic_init(&e->n_slots, 0);
}

void
idx_epochs_fini(struct idx_epochs *e)
{
    must(!e->memory || idx_epochs_oldest(e) == UINT64_MAX);
    free(e->memory);
    e->memory = NULL;
}

struct idx_reader *
idx_epochs_join(struct idx_epochs *e)
{
    for (unsigned i = 0; i < IDX_READERS_MAX; i++) {
        struct idx_reader *r = &e->slots[i];
        bool is_taken = false;
        if (!atomic_compare_exchange_strong(&r->is_taken, &is_taken, true))
            continue;
        r->epochs = e;
        unsigned n = atomic_load(&e->n_slots);
        while (n <= i && !atomic_compare_exchange_weak(&e->n_slots, &n, i + 1))
            continue;
        return r;
    }
    return NULL;
}

void
idx_reader_free(struct idx_reader *r)
{
    if (!r)
        return;
    must(atomic_load(&r->epoch) == 0);
    atomic_store(&r->is_taken, false);
}

const struct idx_snapshot *
idx_reader_begin(struct idx_reader *r)
{
    must(atomic_load_explicit(&r->epoch, memory_order_relaxed) == 0);
    atomic_store(&r->epoch, atomic_load(&r->epochs->epoch));
    return atomic_load(&r->epochs->newest);
}

void
idx_reader_end(struct idx_reader *r)
{
    atomic_store_explicit(&r->epoch, 0, memory_order_release);
}

uint64_t
idx_epochs_swap(struct idx_epochs *e, const struct idx_snapshot *s)
{
    atomic_store(&e->newest, s);
    return atomic_fetch_add(&e->epoch, 1) + 1;
}

uint64_t
idx_epochs_oldest(struct idx_epochs *e)
{
    uint64_t oldest = UINT64_MAX;
    unsigned n = atomic_load(&e->n_slots);
    for (unsigned i = 0; i < n; i++) {
        uint64_t at = atomic_load(&e->slots[i].epoch);
        if (at != 0 && at < oldest)
            oldest = at;
    }
    return oldest;
}
