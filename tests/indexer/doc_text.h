/*
 * MongoDB documents written as text, for the tests: relaxed extended JSON in
 * which $A .. $E stand for UUIDs and #123 for a date in milliseconds.
 */
#ifndef TAILFIN_TESTS_INDEXER_DOC_TEXT_H
#define TAILFIN_TESTS_INDEXER_DOC_TEXT_H

#include <bson/bson.h>

#include "base/buf.h"

/* The ULID text of a letter 'A' .. 'E'; static. */
const char *ulid_of_letter(char letter);
/* Aborts with a message if the text is none. bson_destroy frees it. */
bson_t *doc_of_text(struct span text);
/* Replaces $A .. $E by their ULID texts; buf_fini frees it. */
struct buf ids_of_text(struct span text);
/* The 16 bytes of a ULID text as a UUID, appended under key. */
void doc_append_ulid(bson_t *doc, const char *key, struct span ulid);

#endif
