#include "base/json_member.h"

#include "base/json.h"

void
json_member_put_str(struct buf *out, const char *name, struct span utf8)
{
    json_put_name(out, name);
    json_put_str(out, utf8);
}

void
json_member_put_u64(struct buf *out, const char *name, uint64_t v)
{
    json_put_name(out, name);
    json_put_u64(out, v);
}

void
json_member_put_bool(struct buf *out, const char *name, bool v)
{
    json_put_name(out, name);
    buf_puts(out, v ? "true" : "false");
}
