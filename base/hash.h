/*
 * XXH3, 64 bits: for tables, fingerprints and checksums of stored sections.
 * Stable over versions and machines (xxHash specification). Not for secrets.
 */
#ifndef TAILFIN_BASE_HASH_H
#define TAILFIN_BASE_HASH_H

#include "base/span.h"

uint64_t hash64(struct span s);
/* Mixes a further part into a hash. */
uint64_t hash64_more(uint64_t seed, struct span s);

/* HMAC-SHA256 (RFC 2104, FIPS 180-4): out gets 32 bytes. For scoped keys. */
void hmac_sha256(struct span key, struct span message, unsigned char out[32]);
/* Equal, in a time that depends on the lengths only. */
bool secret_eq(struct span a, struct span b);

#endif
