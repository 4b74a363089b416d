/* What a non-ASCII code point becomes in a token. Internal to the room; any thread. */
#ifndef TAILFIN_TOKENIZER_TRANSLIT_H
#define TAILFIN_TOKENIZER_TRANSLIT_H

#include "tokenizer/tokenizer.h"

/*
 * Writes the lower-case ASCII letters and digits that code_point contributes,
 * NUL-terminated ("" if it is dropped). False if it is not rewritten but stays
 * as it is. Cost: three binary searches, and a decomposition for the rest.
 */
bool tkz_translit(uint32_t code_point, char out[TKZ_REPLACEMENT_MAX]);

#endif
