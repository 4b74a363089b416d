/*
 * The collections of MongoDB that an index was made from, by their UUIDs.
 * Stream thread, where nothing else is said. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_ORIGIN_H
#define TAILFIN_INDEXER_ORIGIN_H

#include "indexer/pipeline.h"

struct ing_origin_news {
    uint64_t rebuild; /* bit per feed: made from a collection that is not there any more */
    bool is_another;  /* none is the same: it is another database, and the position another's */
};

/*
 * Compares; takes over what is there now unless there is news: then the scans
 * of the rebuild make the apply thread forget the old one, in the batch that
 * begins it. RC_UNREACHABLE; without the right to list collections nothing is
 * known, and nothing is new. Blocks for a reply.
 */
MUST_USE enum rc ing_origin_check(struct ing_mongo *m, struct ing_client *c,
                                  struct ing_origin_news *out, struct err *err);
/* It is about to be made anew, from what is there then. Apply thread. */
void ing_origin_forget(struct ing_mongo *m, struct ing_feed *f);
/* Bit per feed: what its collection is, is known. */
uint64_t ing_origin_known(struct ing_mongo *m);

#endif
