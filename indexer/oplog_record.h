/* One record of the operation log: what a write did. Private to indexer/. */
#ifndef TAILFIN_INDEXER_OPLOG_RECORD_H
#define TAILFIN_INDEXER_OPLOG_RECORD_H

#include "base/buf.h"
#include "base/err.h"

struct ing_oplog_record {
    bool is_delete;
    uint32_t uid;
    uint64_t seq; /* of a new document */
    struct span id;
    struct span json; /* the document as stored; empty for a delete */
};

void ing_oplog_write(struct buf *out, const struct ing_oplog_record *r);
/* Borrows from bytes. RC_CORRUPT. */
MUST_USE enum rc ing_oplog_read(struct span bytes, struct ing_oplog_record *out, struct err *err);

#endif
