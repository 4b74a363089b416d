#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <stdbool.h>

#include <cmocka.h>

#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs f in a child without stderr; true if it aborted. */
static bool
aborts(void (*f)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        f();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
must_hold(void)
{
    must(1 + 1 == 2);
}

static void
must_not_hold(void)
{
    must(1 + 1 == 3);
}

static void
grow_too_far(void)
{
    size_t cap = 0;
    free(xgrow(NULL, &cap, SIZE_MAX / 8, 16));
}

static void
test_must(void **state)
{
    (void)state;
    assert_false(aborts(must_hold));
    assert_true(aborts(must_not_hold));
    assert_true(aborts(grow_too_far));
}

static void
test_nothing_is_never_null(void **state)
{
    (void)state;
    void *p = xmalloc(0);
    assert_non_null(p);
    p = xrealloc(p, 0);
    assert_non_null(p);
    free(p);
    p = xcalloc(0, 8);
    assert_non_null(p);
    free(p);
    char *s = xmemdup0(NULL, 0);
    assert_string_equal(s, "");
    free(s);
    s = xstrdup("abc");
    assert_string_equal(s, "abc");
    free(s);
}

static void
test_grow(void **state)
{
    uint32_t *p = NULL;
    size_t cap = 0;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        size_t before = cap;
        p = xgrow(p, &cap, i + 1, sizeof *p);
        assert_true(cap >= i + 1 && (cap == before || cap >= 2 * before));
        p[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], i);
    free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_must),
        cmocka_unit_test(test_nothing_is_never_null),
        cmocka_unit_test(test_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
