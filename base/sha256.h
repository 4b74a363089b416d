/* SHA-256 (FIPS 180-4, section 6.2), for hash.c. One thread at a time. */
#ifndef TAILFIN_BASE_SHA256_H
#define TAILFIN_BASE_SHA256_H

#include "base/span.h"

enum { SHA256_BYTES_N = 32, SHA256_BLOCK_N = 64 };

struct sha256 {
    uint32_t state[8];
    uint64_t n_bytes; /* taken so far */
    unsigned char block[SHA256_BLOCK_N];
};

/* Begins a new digest in h. */
void sha256_init(struct sha256 *h);
/* Takes further bytes. */
void sha256_put(struct sha256 *h, const void *p, size_t n);
/* Ends the digest; h must be begun anew before further use. */
void sha256_end(struct sha256 *h, unsigned char out[SHA256_BYTES_N]);

#endif
