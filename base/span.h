/*
 * A borrowed run of bytes: not NUL-terminated, may hold any byte. The all-zero
 * span is the empty one. Who owns the bytes, and until when, is said where a
 * span is handed over.
 */
#ifndef TAILFIN_BASE_SPAN_H
#define TAILFIN_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

#define SPAN_LIT(literal) ((struct span){(literal), sizeof(literal) - 1})
/* For printf("%.*s", SPAN_ARG(s)). */
#define SPAN_ARG(s) (int)(s).n, (s).p

static inline struct span
span_of(const char *p, size_t n)
{
    return (struct span){p, n};
}

/* s may be NULL: the empty span. */
static inline struct span
span_str(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}

static inline bool
span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
span_eq_str(struct span a, const char *b)
{
    return span_eq(a, span_str(b));
}

static inline bool
span_starts(struct span a, struct span prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

/* The bytes from begin on; begin <= a.n. */
static inline struct span
span_from(struct span a, size_t begin)
{
    return (struct span){a.p + begin, a.n - begin};
}

/* memcmp order, a prefix before the longer one. */
int span_cmp(struct span a, struct span b);

/* Without blanks, tabs, CR and LF at both ends. */
struct span span_trim(struct span a);

/* Offset of the first byte c at or after from; a.n if there is none. */
size_t span_find(struct span a, size_t from, char c);

/*
 * Takes the part before the next `separator` off *rest and returns it. After
 * the last part rest->p is NULL: `while (rest.p) { part = span_split(&rest, ','); ... }`.
 */
struct span span_split(struct span *rest, char separator);

/* Base 10, the whole span, optional '-'; false if empty, junk or out of range. *out only on true.
 */
bool span_i64(struct span a, int64_t *out);
bool span_u64(struct span a, uint64_t *out);
/* The whole span as a finite double in C syntax without hex; false else. */
bool span_double(struct span a, double *out);

#endif
