/* The first byte chooses the options; the rest is a text of any bytes. */
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct tkz_tokens *tokens, size_t n_text, size_t n_max)
{
    uint32_t end = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        const struct tkz_token *t = &tokens->v[i];
        must(t->text.n > 0 && t->text.n <= n_max);
        must(t->begin >= end && t->begin < t->end && t->end <= n_text);
        end = t->end;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const options[] = {"", "_-", "\"-", "\t\x01"};
    struct arena arena = {0};
    struct buf key = {0};
    struct tkz_analyzer a;
    struct tkz_tokens tokens;
    if (n == 0)
        return 0;
    tkz_analyzer_init(&a, span_str(options[data[0] % 4]), span_str(options[data[0] / 4 % 4]));
    struct span text = {(const char *)data + 1, n - 1};
    tkz_text(&a, text, &arena, &tokens);
    check(&tokens, text.n, TKZ_TOKEN_MAX);
    tkz_query_raw(&a, text, &arena, &tokens);
    check(&tokens, text.n, SIZE_MAX);
    tkz_sort_key(&a, text, &key);
    must(key.n <= TKZ_SORT_KEY_MAX);
    must(tkz_codepoints(text) <= text.n);
    buf_fini(&key);
    arena_fini(&arena);
    return 0;
}
