/* Base64 (RFC 4648 section 4) with padding. */
#ifndef TAILFIN_BASE_BASE64_H
#define TAILFIN_BASE_BASE64_H

#include "base/buf.h"

/* Appends the text of in. */
void base64_encode(struct buf *out, struct span in);
/* False if in is not valid base64; out then holds a part. */
bool base64_decode(struct buf *out, struct span in);

#endif
