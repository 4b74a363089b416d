/* Tokenising names: MB/s of one thread, for ASCII and for accented text. */
#include "tokenizer/tokenizer.h"

#include "base/clock.h"

enum { ROUNDS_N = 300000 };

static void
measure(const char *label, const char *const *names, size_t n_names)
{
    struct tkz_analyzer a;
    struct arena arena = {0};
    struct tkz_tokens tokens;
    size_t n_bytes = 0;
    size_t n_tokens = 0;
    tkz_analyzer_init(&a, SPAN_LIT("_-"), SPAN_LIT(""));
    uint64_t begin = clock_us();
    for (unsigned i = 0; i < ROUNDS_N; i++) {
        for (size_t k = 0; k < n_names; k++) {
            tkz_text(&a, span_str(names[k]), &arena, &tokens);
            n_bytes += strlen(names[k]);
            n_tokens += tokens.n;
        }
        arena_reset(&arena);
    }
    double us = (double)(clock_us() - begin);
    printf("%s: %.0f MB/s, %.1f M names/s, %.1f M tokens/s\n", label, (double)n_bytes / us,
           (double)ROUNDS_N * (double)n_names / us, (double)n_tokens / us);
    arena_fini(&arena);
}

int
main(void)
{
    static const char *const ascii[] = {
        "PeepoHappyDance", "catJAM", "KEKW", "monkaS_Christmas", "somebody_with_a_long_name_2024",
        "xX_Gamer_Xx"};
    static const char *const mixed[] = {"Caf\u00e9_Fran\u00e7ais",
                                        "\u041f\u0440\u0438\u0432\u0435\u0442",
                                        "\u65e5\u672c\u8a9e",
                                        "\uff26\uff35\uff2c\uff2c",
                                        "na\u00efve",
                                        "\U0001d4da\U0001d4ea\U0001d4f9"};
    measure("ASCII", ascii, ARRAY_SIZE(ascii));
    measure("non-ASCII", mixed, ARRAY_SIZE(mixed));
    return 0;
}
