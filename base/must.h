/*
 * What the program relies on: asserts that stay in every build, attributes,
 * and the bans of STYLE.md. must() is for what the program can do wrong; what
 * input can do wrong is returned as an error.
 */
#ifndef TAILFIN_BASE_MUST_H
#define TAILFIN_BASE_MUST_H

#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))
#define COLD __attribute__((cold))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Prints the expression, file, line and thread to stderr and aborts. */
COLD _Noreturn void must_fail(const char *expression, const char *file, int line);

#define must(expression)                                                                           \
    do {                                                                                           \
        if (!(expression))                                                                         \
            must_fail(#expression, __FILE__, __LINE__);                                            \
    } while (0)

/*
 * Small allocations: abort when memory is out (STYLE.md, ownership rule 7).
 * Sizes that input decides are checked against a limit before. The result is
 * never NULL, also for 0 bytes; free with free().
 */
MUST_USE void *xmalloc(size_t n_bytes);
MUST_USE void *xcalloc(size_t n, size_t size);
MUST_USE void *xrealloc(void *p, size_t n_bytes);
MUST_USE char *xstrdup(const char *s);
MUST_USE char *xmemdup0(const void *p, size_t n_bytes); /* adds a NUL */

/*
 * Grows an array so that it can hold need elements: returns p or its new
 * place and updates *cap (in elements, at least doubled). p may be NULL when
 * *cap is 0.
 */
MUST_USE void *xgrow(void *p, size_t *cap, size_t need, size_t element_bytes);

#ifndef TAILFIN_MUST_IMPLEMENTATION
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol localtime gmtime
#endif

#endif
