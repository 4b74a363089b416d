/*
 * Any text as a collection's JSON: refused with a sentence, or written back to
 * a text that reads equal.
 */
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena arena = {0};
    struct json json, again_json;
    struct sch_collection c, again;
    struct err err = {0};
    struct buf text = {0}, again_text = {0};
    if (json_parse(span_of((const char *)bytes, n), &arena, &json, NULL) != RC_OK)
        goto out;
    if (sch_parse(&json, &arena, &c, &err) != RC_OK) {
        must(err.text[0] != 0);
        goto out;
    }
    sch_write(&c, 7, false, &text);
    must(json_parse(buf_span(&text), &arena, &again_json, &err) == RC_OK);
    must(sch_parse(&again_json, &arena, &again, &err) == RC_OK);
    sch_write(&again, 7, false, &again_text);
    must(span_eq(buf_span(&text), buf_span(&again_text)));
    must(sch_fingerprint(&c) == sch_fingerprint(&again));
out:
    buf_fini(&text);
    buf_fini(&again_text);
    arena_fini(&arena);
    return 0;
}
