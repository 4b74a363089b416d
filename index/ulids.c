#include "index/ulids.h"

#include "base/bytes.h"
#include "base/must.h"

struct idx_ulids_slot { /* number + 1 (0: empty) and the hash */
    uint32_t number, hash;
};

enum { SLOTS_MIN = 64, SLOTS_KEPT = 1024 };

struct idx_ulid
idx_ulid_of(const unsigned char bytes[ULID_BYTES_N])
{
    return (struct idx_ulid){__builtin_bswap64(load_u64((const char *)bytes)),
                             __builtin_bswap64(load_u64((const char *)bytes + 8))};
}

void
idx_ulid_bytes(struct idx_ulid key, unsigned char bytes[ULID_BYTES_N])
{
    uint64_t high = __builtin_bswap64(key.high), low = __builtin_bswap64(key.low);
    memcpy(bytes, &high, sizeof high);
    memcpy(bytes + sizeof high, &low, sizeof low);
}

/* Two odd constants of many bits: either half may be all that differs. */
static uint32_t
hash_of(struct idx_ulid key)
{
    uint64_t x = (key.high ^ key.high >> 32) * 0x9e3779b97f4a7c15u ^ key.low;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return (uint32_t)(x >> 32);
}

static void
grow(struct idx_ulids *u)
{
    uint32_t n_slots = u->n_slots ? u->n_slots * 2 : SLOTS_MIN, mask = n_slots - 1;
    struct idx_ulids_slot *slots = xcalloc(n_slots, sizeof *slots);
    for (uint32_t i = 0; i < u->n_slots; i++) {
        if (u->slots[i].number == 0)
            continue;
        uint32_t at = u->slots[i].hash & mask;
        while (slots[at].number)
            at = (at + 1) & mask;
        slots[at] = u->slots[i];
    }
    free(u->slots);
    u->slots = slots;
    u->n_slots = n_slots;
}

static uint32_t
put(struct idx_ulids *u, struct idx_ulid key, uint32_t hash)
{
    uint32_t mask = u->n_slots - 1, at = hash & mask;
    for (; u->slots[at].number; at = (at + 1) & mask) {
        if (u->slots[at].hash != hash)
            continue;
        const struct idx_ulid *known = &u->keys[u->slots[at].number - 1];
        if (known->low == key.low && known->high == key.high)
            return u->slots[at].number - 1;
    }
    if (u->n == u->cap)
        u->keys = xgrow(u->keys, &u->cap, u->n + (size_t)1, sizeof *u->keys);
    u->keys[u->n] = key;
    u->slots[at] = (struct idx_ulids_slot){++u->n, hash};
    return u->n - 1;
}

/* A large table does not fit the caches: the places of a group are fetched side by side. */
void
idx_ulids_put_group(struct idx_ulids *u, const unsigned char *ids, uint32_t n, uint32_t *numbers)
{
    struct idx_ulid keys[IDX_ULIDS_GROUP];
    uint32_t hashes[IDX_ULIDS_GROUP];
    must(n <= IDX_ULIDS_GROUP);
    while (u->n + n > u->n_slots / 2)
        grow(u);
    for (uint32_t i = 0; i < n; i++) {
        keys[i] = idx_ulid_of(ids + (size_t)i * ULID_BYTES_N);
        hashes[i] = hash_of(keys[i]);
        __builtin_prefetch(&u->slots[hashes[i] & (u->n_slots - 1)]);
    }
    for (uint32_t i = 0; i < n && u->n > 0; i++) {
        uint32_t number = u->slots[hashes[i] & (u->n_slots - 1)].number;
        __builtin_prefetch(&u->keys[number ? number - 1 : 0]);
    }
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = put(u, keys[i], hashes[i]);
}

void
idx_ulids_clear(struct idx_ulids *u)
{
    /* After a large segment come many small ones: they must not each clear a large table. */
    if (u->n_slots > SLOTS_KEPT && u->n < u->n_slots / 16) {
        free(u->slots);
        u->slots = NULL;
        u->n_slots = 0;
    } else if (u->n) {
        memset(u->slots, 0, u->n_slots * sizeof *u->slots);
    }
    u->n = 0;
}

void
idx_ulids_fini(struct idx_ulids *u)
{
    free(u->slots);
    free(u->keys);
    *u = (struct idx_ulids){0};
}
