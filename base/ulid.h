/*
 * ULIDs: 128-bit ids whose text is 26 characters of Crockford's base 32. Their
 * byte order is the order of the texts. (github.com/ulid/spec)
 */
#ifndef TAILFIN_BASE_ULID_H
#define TAILFIN_BASE_ULID_H

#include "base/span.h"

enum { ULID_TEXT_N = 26, ULID_BYTES_N = 16 };

/* text gets exactly 26 characters, no NUL. */
void ulid_write(const unsigned char bytes[ULID_BYTES_N], char text[ULID_TEXT_N]);
/* Only the canonical form: 26 upper-case characters, the first 0..7. False else. */
bool ulid_read(struct span text, unsigned char bytes[ULID_BYTES_N]);
/* The Unix milliseconds of the first 6 bytes, big-endian. */
uint64_t ulid_ms(const unsigned char bytes[ULID_BYTES_N]);

#endif
