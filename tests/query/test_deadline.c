/* Deadlines: slices are processor time (four times that with waits), cutoffs are of the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "query/deadline.h"

enum { SLICE_US = 40000 };

static struct qry_deadline
sliced(void)
{
    return (struct qry_deadline){UINT64_MAX, qry_slice_begin(SLICE_US)};
}

static void
test_waits_do_not_count(void **state)
{
    struct qry_deadline d = sliced();

    (void)state;
    assert_false(qry_deadline_is_over(&d));
    clock_sleep_us(SLICE_US + SLICE_US / 4);
    uint64_t passed_us = clock_us() - d.slice.begin_us;
    assert_true(passed_us > 4 * (uint64_t)SLICE_US || !qry_deadline_is_over(&d));
}

static void
test_long_waits_count(void **state)
{
    struct qry_deadline d = sliced();

    (void)state;
    clock_sleep_us(4 * SLICE_US);
    assert_true(qry_deadline_is_over(&d));
}

static void
test_work_counts(void **state)
{
    struct qry_deadline d = sliced();

    (void)state;
    while (clock_thread_us() - d.slice.begin_cpu_us < SLICE_US)
        continue;
    assert_true(qry_deadline_is_over(&d));
}

static void
test_cutoff(void **state)
{
    struct qry_deadline d = QRY_DEADLINE_NONE;

    (void)state;
    assert_false(qry_deadline_is_over(&d));
    d.cutoff_us = clock_us() + SLICE_US;
    assert_false(qry_deadline_is_over(&d) && clock_us() < d.cutoff_us);
    clock_sleep_us(SLICE_US);
    assert_true(qry_deadline_is_over(&d));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_do_not_count),
        cmocka_unit_test(test_long_waits_count),
        cmocka_unit_test(test_work_counts),
        cmocka_unit_test(test_cutoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
