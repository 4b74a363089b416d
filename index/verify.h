/* Finding what is wrong with a segment's contents. Private to the room. */
#ifndef TAILFIN_INDEX_VERIFY_H
#define TAILFIN_INDEX_VERIFY_H

#include "index/parts.h"

struct idx_findings {
    void (*report)(void *arg, const char *finding);
    void *arg;
    uint32_t n;
};

PRINTF_LIKE(2, 3) void idx_findings_add(struct idx_findings *f, const char *format, ...);

/* A dictionary, its postings and lists, against each other. Their checksums are right. */
void idx_verify_terms(const struct idx_segment *s, uint32_t field, enum idx_terms_kind kind,
                      struct idx_findings *f);

#endif
