/*
 * The documents of one generation that were put since its last flush: a
 * builder, and what the builder does not know: which ordinal an id has, which
 * are dead already. Writer thread only. Private to the room.
 */
#ifndef TAILFIN_INDEX_FRESH_H
#define TAILFIN_INDEX_FRESH_H

#include "base/map.h"

#include "index/held.h"

struct idx_fresh {               /* all-zero: empty */
    struct idx_builder *builder; /* NULL until the first put */
    struct idx_schema *schema;   /* of the builder; a reference */
    bool is_compressed;
    struct map ids;        /* id -> its newest ordinal, dead or alive */
    uint64_t *seqs;        /* by ordinal */
    struct idx_live *live; /* room for cap_docs bits */
    size_t cap_seqs;
    uint32_t n, n_live, cap_docs;
};

/* Adds a document whose id is not alive in here. */
void idx_fresh_add(struct idx_fresh *f, struct idx_schema *schema, bool is_compressed,
                   const struct idx_doc *doc);
/* Marks the live document of an id dead; *seq gets its sequence. False if there is none. */
bool idx_fresh_kill(struct idx_fresh *f, struct span id, uint64_t *seq);
/* Memory in use. */
size_t idx_fresh_n_bytes(const struct idx_fresh *f);
/*
 * Turns the documents into a segment in RAM and is empty again. False if no
 * document is alive: there is nothing to keep then, *out is not written.
 */
MUST_USE bool idx_fresh_finish(struct idx_fresh *f, struct idx_part *out);
/*
 * The two halves of it. The first, the long one, touches nothing but the
 * builder, which it frees; so it may run on another thread while documents are
 * killed. The second takes *segment.
 */
MUST_USE struct idx_segment *idx_fresh_build(struct idx_fresh *f);
MUST_USE bool idx_fresh_part(struct idx_fresh *f, struct idx_segment **segment,
                             struct idx_part *out);
void idx_fresh_fini(struct idx_fresh *f);

#endif
