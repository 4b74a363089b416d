/*
 * The distinct ULIDs of a field while a segment is built, numbered as they
 * come: a table of 16-byte keys, for fields that name other documents by the
 * million. Part of vocab.h.
 */
#ifndef TAILFIN_INDEX_ULIDS_H
#define TAILFIN_INDEX_ULIDS_H

#include "base/ulid.h"

struct idx_ulid { /* as two big-endian numbers: compares as the bytes do */
    uint64_t high, low;
};

struct idx_ulids { /* all-zero is empty */
    struct idx_ulids_slot *slots;
    uint32_t n_slots, n;
    struct idx_ulid *keys; /* n */
    size_t cap;
};

struct idx_ulid idx_ulid_of(const unsigned char bytes[ULID_BYTES_N]);
void idx_ulid_bytes(struct idx_ulid key, unsigned char bytes[ULID_BYTES_N]);

/* The numbers of n ids of ULID_BYTES_N bytes each: 0 for the first one ever put. Cost: O(n). */
enum { IDX_ULIDS_GROUP = 32 };
void idx_ulids_put_group(struct idx_ulids *u, const unsigned char *ids, uint32_t n,
                         uint32_t *numbers);
void idx_ulids_clear(struct idx_ulids *u); /* keeps the memory, unless little of it was used */
void idx_ulids_fini(struct idx_ulids *u);

#endif
