#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_line(void **state)
{
    (void)state;
    struct span text = SPAN_LIT("MemTotal:       24610000 kB\nMemAvailable:   1024 kB\nHuge: 0\n");
    assert_true(memory_line(text, "MemTotal") == UINT64_C(24610000) << 10);
    assert_true(memory_line(text, "MemAvailable") == 1 << 20);
    assert_true(memory_line(text, "Mem") == 0);
    assert_true(memory_line(text, "Huge") == 0);
    assert_true(memory_line(SPAN_LIT(""), "MemTotal") == 0);
}

static void
test_this_machine(void **state)
{
    (void)state;
    assert_true(memory_available() > 1 << 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line),
                                       cmocka_unit_test(test_this_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
