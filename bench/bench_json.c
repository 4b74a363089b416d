/*
 * Parsing and writing JSON documents of about 600 bytes, as a bulk import
 * brings them: MB/s and documents/s of one thread.
 */
#include "base/json.h"

#include "base/clock.h"

enum { DOCS_N = 1000, ROUNDS_N = 200 };

static void
put_doc(struct buf *out, unsigned i)
{
    buf_printf(out,
               "{\"id\":\"01F%023u\",\"name\":\"PeepoHappy%u\",\"owner\":{\"id\":\"01G%023u\","
               "\"username\":\"somebody_%u\",\"display_name\":\"Some\\u00e9 Body %u\"},"
               "\"tags\":[\"peepo\",\"happy\",\"dance\",\"pog\",\"cat\"],"
               "\"score\":%u,\"ratio\":%u.%02u,\"animated\":%s,\"public\":true,",
               i, i, i, i, i, i * 37 % 100000, i % 100, i % 97, i % 2 ? "true" : "false");
    buf_printf(out,
               "\"created_at\":16%08u,\"updated_at\":17%08u,\"flags\":%u,\"host\":"
               "\"//cdn.example.com/emote/%u/4x.webp\",\"sets\":[",
               i * 7919 % 100000000, i * 104729 % 100000000, i % 4096, i);
    for (unsigned k = 0; k < 4; k++)
        buf_printf(out, "%s\"01H%023u\"", k ? "," : "", i + k);
    buf_puts(out, "],\"note\":null}");
}

int
main(void)
{
    struct buf docs[DOCS_N] = {{0}};
    struct arena arena = {0};
    struct buf out = {0};
    size_t n_bytes = 0;
    for (unsigned i = 0; i < DOCS_N; i++) {
        put_doc(&docs[i], i);
        n_bytes += docs[i].n;
    }
    uint64_t parse_us = 0;
    uint64_t write_us = 0;
    for (unsigned round = 0; round < ROUNDS_N; round++) {
        for (unsigned i = 0; i < DOCS_N; i++) {
            struct json v;
            uint64_t begin = clock_us();
            must(json_parse(buf_span(&docs[i]), &arena, &v, NULL) == RC_OK);
            uint64_t middle = clock_us();
            json_put(&out, &v, false);
            write_us += clock_us() - middle;
            parse_us += middle - begin;
            arena_reset(&arena);
            buf_clear(&out);
        }
    }
    double n = (double)DOCS_N * ROUNDS_N;
    double mb = (double)n_bytes * ROUNDS_N / 1e6;
    printf("%.0f bytes a document\n", (double)n_bytes / DOCS_N);
    printf("parse %.0f MB/s, %.0f documents/s\n", mb / ((double)parse_us / 1e6),
           n / ((double)parse_us / 1e6));
    printf("write %.0f MB/s, %.0f documents/s\n", mb / ((double)write_us / 1e6),
           n / ((double)write_us / 1e6));
    for (unsigned i = 0; i < DOCS_N; i++)
        buf_fini(&docs[i]);
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
