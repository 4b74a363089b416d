/* A batch from inside: the list of its operations. Private to the room. */
#ifndef TAILFIN_INDEX_BATCH_H
#define TAILFIN_INDEX_BATCH_H

#include "base/arena.h"

#include "index/writer.h"

enum idx_op_kind {
    IDX_OP_PUT,
    IDX_OP_DELETE,
    IDX_OP_CREATE,
    IDX_OP_ALTER,
    IDX_OP_NAME,
    IDX_OP_COMPLETE,
    IDX_OP_DROP,
    IDX_OP_ENTRY,
    IDX_OP_STATE,
};

struct idx_op {
    enum idx_op_kind kind;
    uint32_t uid;
    union {
        struct idx_doc doc;     /* PUT */
        struct span id;         /* DELETE */
        struct idx_entry entry; /* ENTRY; STATE: key and value */
        struct {                /* CREATE, ALTER */
            const struct sch_collection *schema;
            uint64_t analyzer;
        };
    };
};

struct idx_callback { /* all-zero: none */
    idx_batch_done *done;
    void *arg;
};

struct idx_batch {
    struct arena arena;
    struct idx_op *ops; /* in the arena, as is all they point to */
    size_t n, cap;
    struct idx_callback on_visible, on_durable;
    bool is_hurried;
    /* Of the inbox, once submitted: */
    uint64_t ticket;
    struct idx_batch *next;
};

static inline void
idx_callback_call(const struct idx_callback *c, enum rc rc)
{
    if (c->done)
        c->done(c->arg, rc);
}

#endif
