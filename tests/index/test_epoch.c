/* The epochs: no reader ever sees a snapshot that was given up. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "index/epoch.h"
#include "index/snapshot.h"

enum { N_THREADS = 4, N_SWAPS = 300000, RING = 64 };

static void
test_oldest(void **state)
{
    (void)state;
    struct idx_epochs e;
    struct idx_snapshot s[3] = {{.version = 1}, {.version = 2}, {.version = 3}};
    idx_epochs_init(&e, &s[0]);
    struct idx_reader *a = idx_epochs_join(&e), *b = idx_epochs_join(&e);
    assert_true(idx_epochs_oldest(&e) == UINT64_MAX);
    assert_ptr_equal(idx_reader_begin(a), &s[0]);
    uint64_t gone0 = idx_epochs_swap(&e, &s[1]);
    assert_true(idx_epochs_oldest(&e) < gone0); /* a may hold the first */
    assert_ptr_equal(idx_reader_begin(b), &s[1]);
    uint64_t gone1 = idx_epochs_swap(&e, &s[2]);
    idx_reader_end(a);
    assert_true(idx_epochs_oldest(&e) >= gone0);
    assert_true(idx_epochs_oldest(&e) < gone1); /* b holds the second */
    idx_reader_end(b);
    assert_true(idx_epochs_oldest(&e) >= gone1);
    idx_reader_free(a);
    idx_reader_free(b);
    idx_reader_free(NULL);
    idx_epochs_fini(&e);
}

static void
test_slots_run_out(void **state)
{
    (void)state;
    struct idx_epochs e;
    struct idx_snapshot s = {.version = 1};
    static struct idx_reader *readers[IDX_READERS_MAX];
    idx_epochs_init(&e, &s);
    for (int i = 0; i < IDX_READERS_MAX; i++) {
        readers[i] = idx_epochs_join(&e);
        assert_non_null(readers[i]);
    }
    assert_null(idx_epochs_join(&e));
    idx_reader_free(readers[77]);
    readers[77] = idx_epochs_join(&e);
    assert_non_null(readers[77]);
    for (int i = 0; i < IDX_READERS_MAX; i++)
        idx_reader_free(readers[i]);
    idx_epochs_fini(&e);
}

struct shared {
    struct idx_epochs e;
    atomic_bool is_over;
    atomic_uint n_begun; /* threads */
    atomic_uint_fast64_t n_reads;
};

static void *
read_all(void *arg)
{
    struct shared *s = arg;
    uint64_t last = 0, n = 0;
    atomic_fetch_add(&s->n_begun, 1);
    do {
        struct idx_reader *r = idx_epochs_join(&s->e);
        for (int i = 0; i < 100; i++) {
            const struct idx_snapshot *at = idx_reader_begin(r);
            uint64_t version = idx_snapshot_version(at);
            must(version >= last && version != 0); /* 0: given up */
            last = version;
            for (int j = 0; j < 20; j++)
                must(idx_snapshot_version(at) == version);
            idx_reader_end(r);
            n++;
        }
        idx_reader_free(r);
    } while (!atomic_load(&s->is_over));
    atomic_fetch_add(&s->n_reads, n);
    return NULL;
}

/* The writer reuses the memory of snapshots as soon as the epochs allow: readers must not notice.
 */
static void
test_threads(void **state)
{
    (void)state;
    static struct idx_snapshot ring[RING];
    static struct shared s;
    pthread_t threads[N_THREADS];
    uint64_t first = 0, next = 1,
             n_waits = 0; /* ring[first % RING, next % RING) are not given up */
    ring[0].version = 1;
    idx_epochs_init(&s.e, &ring[0]);
    for (int i = 0; i < N_THREADS; i++)
        must(pthread_create(&threads[i], NULL, read_all, &s) == 0);
    while (atomic_load(&s.n_begun) < N_THREADS) /* on a busy machine that takes its time */
        clock_sleep_us(100);
    while (next < N_SWAPS) {
        uint64_t oldest = idx_epochs_oldest(&s.e);
        while (first + 1 < next && ring[first % RING].retired_at <= oldest)
            ring[first++ % RING].version = 0;
        if (next - first == RING) {
            n_waits++;
            clock_sleep_us(10);
            continue;
        }
        ring[next % RING].version = next + 1;
        ring[(next - 1) % RING].retired_at = idx_epochs_swap(&s.e, &ring[next % RING]);
        next++;
    }
    atomic_store(&s.is_over, true);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    print_message("%llu reads, writer waited %llu times\n", (unsigned long long)s.n_reads,
                  (unsigned long long)n_waits);
    assert_true(s.n_reads > 0);
    idx_epochs_fini(&s.e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_slots_run_out),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
