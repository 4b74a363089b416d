#include "indexer/oplog_record.h"

#include "base/bytes.h"

enum { KIND_PUT = 1, KIND_DELETE = 2 };

void
ing_oplog_write(struct buf *out, const struct ing_oplog_record *r)
{
    buf_putc(out, r->is_delete ? KIND_DELETE : KIND_PUT);
    buf_put_varint(out, r->uid);
    buf_put_varint(out, r->seq);
    buf_put_bytes(out, r->id);
    buf_put_bytes(out, r->json);
}

enum rc
ing_oplog_read(struct span bytes, struct ing_oplog_record *out, struct err *err)
{
    struct bytes r = bytes_of(bytes);
    struct ing_oplog_record record = {0};
    uint8_t kind = bytes_u8(&r);
    record.is_delete = kind == KIND_DELETE;
    record.uid = (uint32_t)bytes_varint(&r);
    record.seq = bytes_varint(&r);
    record.id = bytes_span(&r);
    record.json = bytes_span(&r);
    if (r.bad || (kind != KIND_PUT && kind != KIND_DELETE))
        return err_set(err, RC_CORRUPT, "a record of the operation log is not readable");
    *out = record;
    return RC_OK;
}
