#include "base/hash.h"

#include <xxhash.h>

#include "base/sha256.h"

uint64_t
hash64(struct span s)
{
    return XXH3_64bits(s.p, s.n);
}

uint64_t
hash64_more(uint64_t seed, struct span s)
{
    return XXH3_64bits_withSeed(s.p, s.n, seed);
}

void
hmac_sha256(struct span key, struct span message, unsigned char out[32])
{
    struct sha256 h;
    unsigned char pad[SHA256_BLOCK_N] = {0};
    if (key.n > sizeof pad) {
        sha256_init(&h);
        sha256_put(&h, key.p, key.n);
        sha256_end(&h, pad);
    } else if (key.n) {
        memcpy(pad, key.p, key.n);
    }
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    sha256_init(&h);
    sha256_put(&h, pad, sizeof pad);
    sha256_put(&h, message.p, message.n);
    sha256_end(&h, out);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    sha256_init(&h);
    sha256_put(&h, pad, sizeof pad);
    sha256_put(&h, out, SHA256_BYTES_N);
    sha256_end(&h, out);
}

bool
secret_eq(struct span a, struct span b)
{
    unsigned char differing = 0;
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        differing |= (unsigned char)(a.p[i] ^ b.p[i]);
    return differing == 0;
}
