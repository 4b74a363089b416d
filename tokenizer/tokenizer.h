/*
 * Bytes in, tokens out: the one definition of a word, used for documents,
 * queries and filter values alike. Rules: tokenizer/README.md.
 *
 * All functions: any thread; they do not block, do not fail, and accept any
 * bytes, valid UTF-8 or not.
 */
#ifndef TAILFIN_TOKENIZER_TOKENIZER_H
#define TAILFIN_TOKENIZER_TOKENIZER_H

#include "base/arena.h"
#include "base/buf.h"

enum {
    TKZ_TOKEN_MAX = 100,     /* bytes of a token; longer ones are cut */
    TKZ_SORT_KEY_MAX = 2000, /* bytes of a sort key */
    TKZ_LATIN_BEGIN = 0xa0,
    TKZ_LATIN_END = 0x250,
    TKZ_REPLACEMENT_MAX = 8 /* bytes that one code point becomes, and a NUL */
};

enum tkz_use { TKZ_USE_TEXT, TKZ_USE_QUERY, TKZ_USE_SORT, TKZ_USE_N };

/*
 * The settings of a collection. A plain value: copy it, keep it anywhere; no
 * fini. Filled by tkz_analyzer_init; readers use the functions below only.
 */
struct tkz_analyzer {
    bool is_separator[128], is_symbol[128];
    unsigned char actions[TKZ_USE_N][128]; /* per ASCII byte: dropped, end of token, or kept */
    /* What the common accented letters become, computed once. */
    char latin[TKZ_LATIN_END - TKZ_LATIN_BEGIN][TKZ_REPLACEMENT_MAX];
};

struct tkz_token {
    struct span text;    /* normalised, 1..TKZ_TOKEN_MAX bytes; in the arena */
    uint32_t begin, end; /* bytes [begin, end) of the original text, from the first to behind the
                            last kept byte; of the uncut token */
};

struct tkz_tokens {
    struct tkz_token *v; /* in the arena; the index is the token's position */
    size_t n;
};

/*
 * separators, symbols: the one-byte characters of the collection's options
 * token_separators and symbols_to_index, one behind the other; bytes above
 * 0x7f are ignored. A character in both is a symbol.
 */
void tkz_analyzer_init(struct tkz_analyzer *a, struct span separators, struct span symbols);

/*
 * Equal for analyzers that make the same tokens of every text, different (but
 * for chance) otherwise: of the settings, the rules' version and the Unicode
 * version of utf8proc. Stored with an index; another value means that the
 * texts must be tokenised anew.
 */
uint64_t tkz_fingerprint(const struct tkz_analyzer *a);

/*
 * The tokens of a text in order. All of *out lives in the arena; nothing is
 * borrowed from text. At most 4 GiB of the text are read. Cost: linear, about
 * 3 ns a byte for ASCII.
 */
void tkz_text(const struct tkz_analyzer *a, struct span text, struct arena *arena,
              struct tkz_tokens *out);

/*
 * The raw words of a query string: as tkz_text, but '-' and '"' are kept as
 * token characters, and tokens are not cut: each is tokenised again by
 * tkz_text once its operators are taken off.
 */
void tkz_query_raw(const struct tkz_analyzer *a, struct span query, struct arena *arena,
                   struct tkz_tokens *out);

/*
 * Appends the key by which a string field sorts: the text normalised as by
 * tkz_text with its blanks (0x20) kept, cut to TKZ_SORT_KEY_MAX bytes. Every
 * byte is xored with 0x80, so that memcmp (a prefix first) is the wanted order
 * of signed bytes: non-ASCII before ASCII. An empty key means "missing".
 */
void tkz_sort_key(const struct tkz_analyzer *a, struct span text, struct buf *out);

/* Number of code points; each byte that starts no valid sequence counts as one. */
size_t tkz_codepoints(struct span text);

/*
 * The code point at offset `at` < text.n: *cp becomes its number, or -1 for a
 * byte that starts no valid sequence (cp may be NULL). Returns the offset of
 * the next one.
 */
size_t tkz_codepoint_next(struct span text, size_t at, int32_t *cp);

#endif
