/* The Prometheus text exposition format, version 0.0.4. */
#include "base/metrics.h"

#include "base/metrics_parts.h"

static const char *const kind_names[] = {"counter", "gauge", "gauge", "histogram"};

/* The upper bounds shown: each doubling twice, so that they are exact bucket
 * ends: 16 us, 64 us ... 67 s. */
enum { BOUND_FIRST_BITS = 4, BOUND_LAST_BITS = 26 };

static void
write_histogram(struct metrics *m, enum metric id, struct buf *out)
{
    const char *name = metric_rows[id].name;
    uint64_t counts[BUCKET_N];
    uint64_t sum_us;
    uint64_t n = metrics_sum_buckets(m, id, counts, &sum_us);
    uint64_t below = 0;
    size_t i = 0;
    for (unsigned bits = BOUND_FIRST_BITS; bits <= BOUND_LAST_BITS; bits += 2) {
        uint64_t bound = (uint64_t)1 << bits;
        for (; bucket_begin(i + 1) <= bound; i++)
            below += counts[i];
        buf_printf(out, "%s_bucket{le=\"%.6f\"} %llu\n", name, (double)bound / 1e6,
                   (unsigned long long)below);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)n);
    buf_printf(out, "%s_sum %.6f\n", name, (double)sum_us / 1e6);
    buf_printf(out, "%s_count %llu\n", name, (unsigned long long)n);
}

/* The name without labels. */
static struct span
family_of(const struct metric_row *row)
{
    struct span name = span_str(row->name);
    return span_of(name.p, span_find(name, 0, '{'));
}

void
metrics_write(struct metrics *m, struct buf *out)
{
    struct span family = {0};
    for (unsigned i = 0; i < METRIC_N; i++) {
        const struct metric_row *row = &metric_rows[i];
        if (!span_eq(family, family_of(row))) {
            family = family_of(row);
            buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", SPAN_ARG(family), row->help,
                       SPAN_ARG(family), kind_names[row->kind]);
        }
        uint64_t value = metrics_read(m, (enum metric)i);
        if (row->kind == METRIC_HISTOGRAM)
            write_histogram(m, (enum metric)i, out);
        else if (row->kind == METRIC_GAUGE_US)
            buf_printf(out, "%s %.6f\n", row->name, (double)value / 1e6);
        else
            buf_printf(out, "%s %llu\n", row->name, (unsigned long long)value);
    }
}
