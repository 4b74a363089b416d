/* What the Typesense sink tells: health, status, metrics, the log. */
#include "indexer/sink.h"

#include "base/clock.h"

enum { TROUBLE_LOG_US = 60000000 };

static const char *const STATES[ING_SINK_STATE_N] = {"waiting", "quiet", "building", "following",
                                                     "retrying"};

void
ing_sink_report(struct ing_sink *s, enum ing_sink_state state)
{
    struct ing_sink_report *r = &s->report;
    uint64_t wall_s = clock_wall_us() / 1000000;
    pthread_mutex_lock(&s->lock);
    bool is_news = r->state != state;
    r->state = state;
    r->n_pending = s->n_pending;
    r->oldest_s = s->oldest_s;
    r->acked_s = s->acked_s;
    r->n_feeds = s->n_feeds;
    for (unsigned i = 0; i < s->n_feeds; i++) {
        const struct ing_sink_feed *f = &s->feeds[i];
        r->feeds[i].name = f->name;
        memcpy(r->feeds[i].target, f->target, sizeof f->target);
        memcpy(r->feeds[i].refusal, f->refusal, sizeof f->refusal);
        r->feeds[i].n_built = f->n_built;
        r->feeds[i].n_to_build = f->n_to_build;
        r->feeds[i].is_building = f->building[0] != 0;
        r->feeds[i].is_covered = f->target[0] && !f->since_s;
    }
    pthread_mutex_unlock(&s->lock);
    metrics_set(s->metrics, M_SINK_PENDING, s->n_pending);
    metrics_set(s->metrics, M_SINK_PENDING_AGE,
                s->oldest_s && wall_s > s->oldest_s ? wall_s - s->oldest_s : 0);
    if (is_news)
        log_line(s->m->options.log, LOG_INFO, "indexer", "typesense", "state=%s pending=%llu",
                 STATES[state], (unsigned long long)s->n_pending);
}

/* Counted always, logged when it begins and once a minute. */
void
ing_sink_trouble(struct ing_sink *s, const struct err *err, uint64_t wait_us)
{
    char quoted[LOG_QUOTE_MAX];
    uint64_t now_us = clock_us();
    pthread_mutex_lock(&s->lock);
    struct ing_sink_report *r = &s->report;
    bool is_due = r->state != ING_SINK_RETRYING || now_us > r->told_us + TROUBLE_LOG_US;
    snprintf(r->trouble, sizeof r->trouble, "%s", err->text);
    r->trouble_wall_us = clock_wall_us();
    r->n_troubles++;
    if (is_due)
        r->told_us = now_us;
    pthread_mutex_unlock(&s->lock);
    if (is_due)
        log_line(s->m->options.log, LOG_WARN, "indexer", "typesense", "error=%s retry_ms=%llu",
                 log_quote(span_str(err->text), quoted), (unsigned long long)(wait_us / 1000));
}

static void
put_str(struct buf *out, const char *name, const char *value)
{
    json_put_name(out, name);
    json_put_str(out, span_str(value));
}

static void
put_u64(struct buf *out, const char *name, uint64_t value)
{
    json_put_name(out, name);
    json_put_u64(out, value);
}

void
ing_sink_write_health(struct ing_sink *s, struct buf *out)
{
    pthread_mutex_lock(&s->lock);
    put_str(out, "typesense", STATES[s->report.state]);
    put_u64(out, "typesense_pending", s->report.n_pending);
    if (s->report.state == ING_SINK_RETRYING)
        put_str(out, "typesense_error", s->report.trouble);
    pthread_mutex_unlock(&s->lock);
}

static void
put_feeds(const struct ing_sink_report *r, struct buf *out)
{
    json_put_name(out, "collections");
    buf_putc(out, '{');
    for (unsigned i = 0; i < r->n_feeds; i++) {
        json_put_comma(out);
        json_put_str(out, r->feeds[i].name);
        buf_puts(out, ":{");
        put_str(out, "state",
                r->feeds[i].refusal[0]    ? "refused"
                : r->feeds[i].is_building ? "building"
                : r->feeds[i].is_covered  ? "following"
                                          : "waiting");
        put_str(out, "target", r->feeds[i].target);
        if (r->feeds[i].is_building) {
            put_u64(out, "documents", r->feeds[i].n_built);
            put_u64(out, "of", r->feeds[i].n_to_build);
        }
        if (r->feeds[i].refusal[0])
            put_str(out, "error", r->feeds[i].refusal);
        buf_putc(out, '}');
    }
    buf_putc(out, '}');
}

static void
put_nodes(const struct ing_sink *s, struct buf *out)
{
    json_put_name(out, "nodes");
    buf_putc(out, '[');
    for (unsigned i = 0; i < s->n_nodes; i++) {
        json_put_comma(out);
        buf_putc(out, '{');
        put_str(out, "url", s->nodes[i].url);
        put_str(out, "state", s->nodes[i].is_up ? "up" : "down");
        put_u64(out, "failures", s->nodes[i].n_failures);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

void
ing_sink_write_status(struct ing_sink *s, struct buf *out)
{
    uint64_t wall_s = clock_wall_us() / 1000000;
    json_put_name(out, "typesense");
    buf_putc(out, '{');
    pthread_mutex_lock(&s->lock);
    const struct ing_sink_report *r = &s->report;
    put_str(out, "state", STATES[r->state]);
    put_u64(out, "pending", r->n_pending);
    put_u64(out, "oldest_pending_s",
            r->oldest_s && wall_s > r->oldest_s ? wall_s - r->oldest_s : 0);
    put_u64(out, "acknowledged_until_s", r->acked_s);
    put_u64(out, "errors", r->n_troubles);
    if (r->trouble[0]) {
        put_str(out, "last_error", r->trouble);
        put_u64(out, "last_error_s", r->trouble_wall_us / 1000000);
    }
    put_nodes(s, out);
    put_feeds(r, out);
    pthread_mutex_unlock(&s->lock);
    buf_putc(out, '}');
}
