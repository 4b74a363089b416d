/* What verifying found, for people: counted, listed, logged, shown. */
#include "indexer/verify.h"

#include "base/clock.h"
#include "base/json_member.h"

enum { LOG_MAX = 100 }; /* lines of one pass */

static const char *const kind_names[ING_DIFFERENCE_N] = {"same", "missing", "stale", "ghost",
                                                         "unmarked"};

/* ---- counting; the lock is held ---- */

void
ing_verify_report_clear(struct ing_verify_pass *p)
{
    memset(p->tallies, 0, sizeof p->tallies);
    arena_reset(&p->findings_arena);
    p->n_findings = 0;
    p->n_left_out = 0;
    p->n_logged = 0;
}

static uint64_t
n_found(const struct ing_tally *t)
{
    return t->n_found[ING_MISSING] + t->n_found[ING_STALE] + t->n_found[ING_GHOST];
}

uint64_t
ing_verify_n_found(const struct ing_verify_pass *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(p->tallies); i++)
        n += n_found(&p->tallies[i]);
    return n;
}

static void
keep(struct ing_verify_pass *p, const struct ing_feed *f, struct ing_suspect *s)
{
    if (p->n_findings == ING_FINDINGS_MAX) {
        p->n_left_out++;
        return;
    }
    p->findings = xgrow(p->findings, &p->cap_findings, p->n_findings + 1, sizeof *p->findings);
    s->finding = (int64_t)p->n_findings;
    p->findings[p->n_findings++] = (struct ing_finding){
        .feed = f->number, .kind = s->kind, .id = arena_dup(&p->findings_arena, s->id)};
}

/* ---- findings ---- */

static void
tell(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
     const struct ing_suspect *s)
{
    char quoted[LOG_QUOTE_MAX];
    if (p->n_logged >= LOG_MAX)
        return; /* the end of the pass tells how many there were */
    p->n_logged++;
    log_line(v->m->options.log, LOG_WARN, "indexer", "verify", "collection=%s id=%s found=%s %s",
             f->source, log_quote(s->id, quoted), kind_names[s->kind],
             s->key.n == 0   ? "a reindex removes it"
             : p->may_repair ? "repairing it"
                             : "not repaired: nobody asked for it");
}

void
ing_verify_found(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                 struct ing_suspect *s)
{
    static const enum metric metrics[ING_DIFFERENCE_N] = {[ING_MISSING] = M_VERIFY_MISSING,
                                                          [ING_STALE] = M_VERIFY_STALE,
                                                          [ING_GHOST] = M_VERIFY_GHOSTS,
                                                          [ING_UNMARKED] = M_VERIFY_UNMARKED};
    metrics_add(v->metrics, metrics[s->kind], 1);
    pthread_mutex_lock(&v->lock);
    p->tallies[f->number].n_found[s->kind]++;
    if (s->kind != ING_UNMARKED) {
        s->is_counted = true;
        keep(p, f, s);
    }
    pthread_mutex_unlock(&v->lock);
    if (s->kind != ING_UNMARKED)
        tell(v, p, f, s);
}

void
ing_verify_repaired(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                    const struct ing_suspect *s)
{
    metrics_add(v->metrics, M_VERIFY_REPAIRED, 1);
    pthread_mutex_lock(&v->lock);
    p->tallies[f->number].n_repaired++;
    if (s->finding >= 0)
        p->findings[s->finding].is_repaired = true;
    pthread_mutex_unlock(&v->lock);
}

/* ---- writing; the lock is held ---- */

static void
put_counts(struct buf *out, const struct ing_tally *t)
{
    json_member_put_u64(out, "missing", t->n_found[ING_MISSING]);
    json_member_put_u64(out, "stale", t->n_found[ING_STALE]);
    json_member_put_u64(out, "ghosts", t->n_found[ING_GHOST]);
    json_member_put_u64(out, "unmarked", t->n_found[ING_UNMARKED]);
    json_member_put_u64(out, "repaired", t->n_repaired);
}

static const char *
state_of(const struct ing_verify_pass *p, const struct ing_tally *t)
{
    if (t->ended_us)
        return "done";
    if (p->state == ING_VERIFY_CANCELLED)
        return "cancelled";
    if (!t->began_us)
        return "waiting";
    return p->phase == ING_VERIFY_DOCS ? "comparing" : "looking for ghosts";
}

static void
put_pace(struct buf *out, const struct ing_tally *t)
{
    uint64_t end_us = t->ended_us ? t->ended_us : clock_us();
    uint64_t took_us = t->began_us && end_us > t->began_us ? end_us - t->began_us : 1;
    uint64_t n_all = t->n_estimate > t->n_docs ? t->n_estimate : t->n_docs;
    double per_s = t->began_us ? (double)t->n_docs * 1e6 / (double)took_us : 0;
    json_member_put_u64(out, "documents", t->n_docs);
    json_member_put_u64(out, "estimated", n_all);
    json_member_put_u64(out, "per_s", (uint64_t)per_s);
    json_put_name(out, "eta_s");
    if (t->ended_us)
        buf_puts(out, "0");
    else if (per_s >= 1)
        json_put_u64(out, (uint64_t)((double)(n_all - t->n_docs) / per_s) + 1);
    else
        buf_puts(out, "null");
}

static void
put_collections(const struct ing_verify *v, const struct ing_verify_pass *p, struct buf *out)
{
    json_put_name(out, "collections");
    buf_putc(out, '[');
    for (unsigned i = 0; i < v->m->n_feeds && p->state != ING_VERIFY_NEVER; i++) {
        const struct ing_tally *t = &p->tallies[i];
        if (!(p->feeds >> i & 1))
            continue;
        json_put_comma(out);
        buf_putc(out, '{');
        json_member_put_str(out, "name", v->m->feeds[i].schema->name);
        json_member_put_str(out, "state", span_str(state_of(p, t)));
        put_pace(out, t);
        put_counts(out, t);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void
put_findings(const struct ing_verify *v, const struct ing_verify_pass *p, struct buf *out)
{
    json_put_name(out, "findings");
    buf_putc(out, '[');
    for (size_t i = 0; i < p->n_findings; i++) {
        const struct ing_finding *f = &p->findings[i];
        json_put_comma(out);
        buf_putc(out, '{');
        json_member_put_str(out, "collection", v->m->feeds[f->feed].schema->name);
        json_member_put_str(out, "id", f->id);
        json_member_put_str(out, "found", span_str(kind_names[f->kind]));
        json_member_put_bool(out, "repaired", f->is_repaired);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
    json_member_put_u64(out, "findings_left_out", p->n_left_out);
}

/* The counts of all collections. */
static void
put_sum(const struct ing_verify_pass *p, struct buf *out)
{
    struct ing_tally sum = {0};
    for (size_t i = 0; i < ARRAY_SIZE(p->tallies); i++) {
        sum.n_docs += p->tallies[i].n_docs;
        sum.n_repaired += p->tallies[i].n_repaired;
        for (unsigned k = 0; k < ING_DIFFERENCE_N; k++)
            sum.n_found[k] += p->tallies[i].n_found[k];
    }
    json_member_put_u64(out, "documents", sum.n_docs);
    put_counts(out, &sum);
}

static void
put_pass(const struct ing_verify *v, const struct ing_verify_pass *p, struct buf *out)
{
    static const char *const names[] = {"never", "running", "done", "cancelled"};
    json_member_put_str(out, "state", span_str(names[p->state]));
    json_member_put_bool(out, "repair", p->may_repair);
    json_member_put_u64(out, "docs_per_s", p->docs_per_s);
    json_member_put_u64(out, "began_s", p->began_wall_us / 1000000);
    put_sum(p, out);
    put_collections(v, p, out);
    put_findings(v, p, out);
}

/* Where the steady pass stands. */
static void
put_place(const struct ing_verify *v, struct buf *out)
{
    const struct ing_verify_pass *p = &v->steady;
    bool is_running = p->state == ING_VERIFY_RUNNING && p->docs_per_s;
    json_member_put_bool(out, "on", p->docs_per_s > 0);
    json_member_put_u64(out, "docs_per_s", p->docs_per_s);
    if (is_running) {
        const struct ing_tally *t = &p->tallies[p->feed];
        json_member_put_str(out, "collection", v->m->feeds[p->feed].schema->name);
        json_member_put_str(out, "phase", span_str(state_of(p, t)));
        json_member_put_u64(out, "of_it", t->n_docs);
        json_member_put_u64(out, "estimated",
                            t->n_estimate > t->n_docs ? t->n_estimate : t->n_docs);
    }
    put_sum(p, out);
    json_member_put_u64(out, "began_s", p->began_wall_us / 1000000);
    json_member_put_u64(out, "last_full_s", p->last_full_wall_us / 1000000);
    json_member_put_bool(out, "asked_runs", v->asked.state == ING_VERIFY_RUNNING);
}

void
ing_verify_write_short(struct ing_mongo *m, struct buf *out)
{
    struct ing_verify *v = m->verify;
    pthread_mutex_lock(&v->lock);
    buf_putc(out, '{');
    put_place(v, out);
    buf_putc(out, '}');
    pthread_mutex_unlock(&v->lock);
}

void
ing_mongo_write_verify(struct ing_mongo *m, struct buf *out)
{
    struct ing_verify *v = m->verify;
    pthread_mutex_lock(&v->lock);
    buf_putc(out, '{');
    json_member_put_bool(out, "running", v->asked.state == ING_VERIFY_RUNNING);
    put_pass(v, &v->asked, out);
    json_put_name(out, "steady");
    buf_putc(out, '{');
    put_pass(v, &v->steady, out);
    json_member_put_u64(out, "last_full_s", v->steady.last_full_wall_us / 1000000);
    buf_puts(out, "}}");
    pthread_mutex_unlock(&v->lock);
}
