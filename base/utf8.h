/* UTF-8 (RFC 3629): is it valid, and the writing of code points. Any thread. */
#ifndef TAILFIN_BASE_UTF8_H
#define TAILFIN_BASE_UTF8_H

#include "base/span.h"

/*
 * Number of bytes at the begin of s that are valid; s.n if all are. No
 * overlong forms, no surrogates, nothing above U+10FFFF. Cost: linear, ASCII
 * eight bytes at a time.
 */
size_t utf8_valid_n(struct span s);

/* Writes one code point (no surrogate, at most 0x10FFFF); returns its 1 to 4 bytes. */
size_t utf8_write(uint32_t code_point, char out[4]);

#endif
