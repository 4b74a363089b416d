#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_clocks(void **state)
{
    (void)state;
    uint64_t begin = clock_us();
    uint64_t boot = clock_boot_us();
    uint64_t wall = clock_wall_us();
    clock_sleep_us(20000);
    assert_true(clock_us() - begin >= 20000);
    assert_true(clock_boot_us() - boot >= 20000);
    /* After 2024 and before 2100: a real date in microseconds. */
    assert_true(wall > 1704067200000000u && wall < 4102444800000000u);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
