/* The ids of a segment's documents, and the table from an id to its document. */
#ifndef TAILFIN_INDEX_IDS_H
#define TAILFIN_INDEX_IDS_H

#include "base/ulid.h"

#include "index/index.h"
#include "index/layout.h"
#include "index/runs.h"

/* ---- reading ---- */

struct idx_ids {
    uint32_t n;
    const char *ulids; /* 16 bytes each; NULL: runs */
    struct idx_runs runs;
    const uint32_t *slots; /* the table: 0 empty, else fingerprint << n_doc_bits | (doc + 1) */
    uint32_t n_slots, n_doc_bits;
};

bool idx_ids_open(struct idx_ids *ids, const struct idx_section *s);
bool idx_ids_open_table(struct idx_ids *ids, const struct idx_section *s);
/* Borrowed, or written into text (of IDX_ID_MAX bytes). */
struct span idx_ids_get(const struct idx_ids *ids, uint32_t doc, char *text);
/* The first 16 bytes of the id's text, as SCH_TIE_ID says. */
struct idx_tie idx_ids_tie(const struct idx_ids *ids, uint32_t doc);
/* Whole ids, as their texts compare: negative, 0, positive. Also of different segments. */
int idx_ids_compare(const struct idx_ids *a, uint32_t a_doc, const struct idx_ids *b,
                    uint32_t b_doc);
/* The newest document of that id. */
bool idx_ids_find(const struct idx_ids *ids, struct span id, uint32_t *doc);

/* ---- writing ---- */

struct idx_ids_out {  /* all-zero is empty */
    struct buf ulids; /* while all are ULIDs */
    struct idx_runs_out runs;
    uint32_t n;
    bool has_other;
};

void idx_ids_put(struct idx_ids_out *o, struct span id);
/* Writes the ids and their table. */
MUST_USE enum rc idx_ids_write(const struct idx_ids_out *o, struct idx_layout *l, struct err *err);
void idx_ids_clear(struct idx_ids_out *o);
void idx_ids_fini(struct idx_ids_out *o);

#endif
