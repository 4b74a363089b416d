#include "tokenizer/tokenizer.h"

#include <utf8proc.h>

size_t
tkz_codepoint_next(struct span text, size_t at, int32_t *cp)
{
    must(at < text.n);
    utf8proc_int32_t c = -1;
    size_t left = text.n - at;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.p + at,
                                          (utf8proc_ssize_t)(left < 4 ? left : 4), &c);
    if (cp)
        *cp = n > 0 ? c : -1;
    return at + (n > 0 ? (size_t)n : 1);
}

size_t
tkz_codepoints(struct span text)
{
    size_t n = 0;
    for (size_t at = 0; at < text.n; n++) {
        if ((unsigned char)text.p[at] < 0x80)
            at++;
        else
            at = tkz_codepoint_next(text, at, NULL);
    }
    return n;
}
