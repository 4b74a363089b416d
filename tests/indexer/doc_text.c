#include "doc_text.h"

#include "base/base64.h"
#include "base/must.h"
#include "base/ulid.h"

const char *
ulid_of_letter(char letter)
{
    switch (letter) {
    case 'A':
        return "01GMFRJA800007JWKSWBEWV3C9"; /* 1671271360768 ms */
    case 'B':
        return "01EZPG1FN80001SNAW004HRJVT"; /* 1614588985000 ms */
    case 'C':
        return "644JAH244N89EAJGXHMC2W48RY"; /* no time: 215661398790293 ms */
    case 'D':
        return "00000000000000000000000000";
    case 'E':
        return "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    default:
        return NULL;
    }
}

static bool
is_letter(struct span text, size_t i)
{
    return text.p[i] == '$' && i + 1 < text.n && ulid_of_letter(text.p[i + 1]) &&
           (i + 2 == text.n || !strchr("abcdefghijklmnopqrstuvwxyz", text.p[i + 2]));
}

static void
put_uuid(struct buf *out, char letter)
{
    unsigned char bytes[ULID_BYTES_N];
    must(ulid_read(span_str(ulid_of_letter(letter)), bytes));
    buf_puts(out, "{\"$binary\":{\"subType\":\"04\",\"base64\":\"");
    base64_encode(out, span_of((const char *)bytes, sizeof bytes));
    buf_puts(out, "\"}}");
}

bson_t *
doc_of_text(struct span text)
{
    struct buf json = {0};
    bson_error_t error;
    for (size_t i = 0; i < text.n; i++) {
        if (is_letter(text, i)) {
            put_uuid(&json, text.p[++i]);
        } else if (text.p[i] == '#') {
            size_t n = 1;
            while (i + n < text.n && strchr("-0123456789", text.p[i + n]))
                n++;
            buf_printf(&json, "{\"$date\":{\"$numberLong\":\"%.*s\"}}", (int)n - 1, text.p + i + 1);
            i += n - 1;
        } else {
            buf_putc(&json, text.p[i]);
        }
    }
    bson_t *doc = bson_new_from_json((const uint8_t *)json.p, (ssize_t)json.n, &error);
    if (!doc)
        fprintf(stderr, "%s: %.*s\n", error.message, (int)json.n, json.p);
    must(doc != NULL);
    buf_fini(&json);
    return doc;
}

struct buf
ids_of_text(struct span text)
{
    struct buf out = {0};
    for (size_t i = 0; i < text.n; i++) {
        if (is_letter(text, i))
            buf_puts(&out, ulid_of_letter(text.p[++i]));
        else
            buf_putc(&out, text.p[i]);
    }
    return out;
}

void
doc_append_ulid(bson_t *doc, const char *key, struct span ulid)
{
    unsigned char bytes[ULID_BYTES_N];
    must(ulid_read(ulid, bytes));
    bson_append_binary(doc, key, -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
}
