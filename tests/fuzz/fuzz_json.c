/* Any text is refused or understood; what is understood reads back the same. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = {0};
    struct json v;
    struct json again;
    struct err err;
    struct buf first = {0};
    struct buf second = {0};
    if (json_parse(span_of((const char *)data, n), &arena, &v, &err) == RC_OK) {
        json_put(&first, &v, true);
        must(json_parse(buf_span(&first), &arena, &again, &err) == RC_OK);
        json_put(&second, &again, true);
        must(span_eq(buf_span(&first), buf_span(&second)));
    }
    buf_fini(&first);
    buf_fini(&second);
    arena_fini(&arena);
    return 0;
}
