/* Short lists of names, for the tests. */
#ifndef TAILFIN_TESTS_INDEXER_NAME_LIST_H
#define TAILFIN_TESTS_INDEXER_NAME_LIST_H

#include "base/span.h"

enum { NAMES_MAX = 200 };

struct list { /* of names, each once */
    struct span v[NAMES_MAX];
    size_t n;
};

bool list_has(const struct list *l, struct span name);
/* Aborts beyond NAMES_MAX. */
void list_add(struct list *l, struct span name);
/* For qsort: by the bytes. */
int by_bytes(const void *a, const void *b);
/* Sorts what is wanted and fails the test unless the n names are the same. */
void assert_list(const char *what, struct list *want, int (*order)(const void *, const void *),
                 const struct span *got, uint32_t n);

#endif
