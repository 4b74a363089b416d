#include "base/must.h"

#include <stdint.h>
#include <unistd.h>

void
must_fail(const char *expression, const char *file, int line)
{
    fprintf(stderr, "tailfin: must(%s) failed at %s:%d, thread %ld\n", expression, file, line,
            (long)gettid());
    fflush(stderr);
    abort();
}

COLD static _Noreturn void
out_of_memory(size_t n_bytes)
{
    fprintf(stderr, "tailfin: out of memory: %zu bytes were wanted\n", n_bytes);
    fflush(stderr);
    abort();
}

void *
xmalloc(size_t n_bytes)
{
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (!p)
        out_of_memory(n_bytes);
    return p;
}

void *
xcalloc(size_t n, size_t size)
{
    void *p = n && size ? calloc(n, size) : calloc(1, 1);
    if (!p)
        out_of_memory(n);
    return p;
}

void *
xrealloc(void *p, size_t n_bytes)
{
    void *q = realloc(p, n_bytes ? n_bytes : 1);
    if (!q)
        out_of_memory(n_bytes);
    return q;
}

char *
xstrdup(const char *s)
{
    return xmemdup0(s, strlen(s));
}

char *
xmemdup0(const void *p, size_t n_bytes)
{
    must(n_bytes < SIZE_MAX);
    char *s = xmalloc(n_bytes + 1);
    if (n_bytes)
        memcpy(s, p, n_bytes);
    s[n_bytes] = '\0';
    return s;
}

void *
xgrow(void *p, size_t *cap, size_t need, size_t element_bytes)
{
    if (need <= *cap)
        return p;
    must(need <= SIZE_MAX / 4);
    size_t wanted = *cap < 4 ? 8 : *cap * 2;
    while (wanted < need)
        wanted *= 2;
    must(element_bytes == 0 || wanted <= SIZE_MAX / element_bytes);
    p = xrealloc(p, wanted * element_bytes);
    *cap = wanted;
    return p;
}
