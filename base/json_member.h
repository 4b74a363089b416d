/* Members of JSON objects, name and value written at once. */
#ifndef TAILFIN_BASE_JSON_MEMBER_H
#define TAILFIN_BASE_JSON_MEMBER_H

#include "base/buf.h"

/*
 * Each appends `"name":value`, with a comma before it unless the last byte of
 * out is '{' or '['. Name and text may be any bytes: as json_put_str writes them.
 */
void json_member_put_str(struct buf *out, const char *name, struct span utf8);
void json_member_put_u64(struct buf *out, const char *name, uint64_t v);
void json_member_put_bool(struct buf *out, const char *name, bool v);

#endif
