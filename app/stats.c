#include "app/stats.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "base/must.h"

/* Routes beyond the last are in the totals only: names of collections are the clients'. */
enum { WINDOW_US = 10000000, ROUTES_MAX = 256, ROUTE_BYTES_MAX = 512 };

enum kind { KIND_READ, KIND_SEARCH, KIND_WRITE, KIND_IMPORT, KIND_DELETE, KIND_N };

struct tally {
    uint64_t n, us;
};

struct window {
    uint64_t begin_us; /* 0: there was none */
    struct map routes; /* "GET /path" to an index of by_route */
    struct tally by_route[ROUTES_MAX];
    struct tally by_kind[KIND_N];
    uint64_t n_overloaded;
};

/* What one loop counted; the lock is taken by others only to write /stats.json. */
struct share {
    pthread_mutex_t lock;
    struct window now, before;
};

struct app_stats {
    unsigned n_shares;
    struct share shares[];
};

struct app_stats *
app_stats_new(unsigned n_loops)
{
    struct app_stats *s = xcalloc(1, sizeof *s + n_loops * sizeof s->shares[0]);
    s->n_shares = n_loops;
    for (unsigned i = 0; i < n_loops; i++) {
        must(pthread_mutex_init(&s->shares[i].lock, NULL) == 0);
        s->shares[i].now.begin_us = clock_us();
    }
    return s;
}

void
app_stats_free(struct app_stats *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->n_shares; i++) {
        map_fini(&s->shares[i].now.routes);
        map_fini(&s->shares[i].before.routes);
        pthread_mutex_destroy(&s->shares[i].lock);
    }
    free(s);
}

/* ---- counting ---- */

static void
begin_window(struct window *w, uint64_t now_us)
{
    map_fini(&w->routes);
    *w = (struct window){.begin_us = now_us};
}

static void
turn_over(struct share *share, uint64_t now_us)
{
    uint64_t age_us = now_us - share->now.begin_us;
    if (age_us < WINDOW_US)
        return;
    if (age_us < 2 * WINDOW_US) {
        map_fini(&share->before.routes);
        share->before = share->now;
        share->now.routes = (struct map){0};
    } else {
        begin_window(&share->before, 0);
    }
    begin_window(&share->now, now_us);
}

static bool
is_part(const struct http_request *r, size_t i, const char *name)
{
    return i < r->n_parts && span_eq_str(r->parts[i], name);
}

/* What a path is about: ids of documents do not make routes of their own. */
static bool
is_document(const struct http_request *r)
{
    return r->n_parts == 4 && is_part(r, 0, "collections") && is_part(r, 2, "documents") &&
           !is_part(r, 3, "search") && !is_part(r, 3, "import") && !is_part(r, 3, "export");
}

static enum kind
kind_of(const struct http_request *r)
{
    if (is_part(r, 0, "multi_search") || (is_part(r, 3, "search") && is_part(r, 2, "documents")))
        return KIND_SEARCH;
    if (!is_part(r, 0, "collections") || !is_part(r, 2, "documents") || r->method == HTTP_GET)
        return KIND_READ;
    if (r->method == HTTP_DELETE)
        return KIND_DELETE;
    return is_part(r, 3, "import") ? KIND_IMPORT : KIND_WRITE;
}

/* "GET /path", cut where it is longer than anyone reads. */
static struct span
route_of(const struct http_request *r, char to[ROUTE_BYTES_MAX])
{
    static const char *const METHODS[HTTP_METHOD_N] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",     [HTTP_PATCH] = "PATCH",   [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS"};
    if (is_document(r))
        snprintf(to, ROUTE_BYTES_MAX, "%s /collections/%.*s/documents/:id", METHODS[r->method],
                 SPAN_ARG(r->parts[1]));
    else
        snprintf(to, ROUTE_BYTES_MAX, "%s %.*s", METHODS[r->method], SPAN_ARG(r->path));
    return span_str(to);
}

static void
tally(struct tally *t, uint64_t us)
{
    t->n++;
    t->us += us;
}

static void
tally_route(struct window *w, struct span route, uint64_t us)
{
    uint64_t *at = map_get(&w->routes, route);
    if (!at && w->routes.n < ROUTES_MAX) {
        uint64_t next = w->routes.n;
        at = map_put(&w->routes, route, NULL);
        *at = next;
    }
    if (at)
        tally(&w->by_route[*at], us);
}

void
app_stats_count(struct app_stats *s, unsigned loop, const struct http_request *r, int status,
                uint64_t took_us)
{
    char text[ROUTE_BYTES_MAX];
    struct span route = route_of(r, text);
    struct share *share = &s->shares[loop];
    must(pthread_mutex_lock(&share->lock) == 0);
    turn_over(share, clock_us());
    tally(&share->now.by_kind[kind_of(r)], took_us);
    tally_route(&share->now, route, took_us);
    share->now.n_overloaded += status == 503;
    must(pthread_mutex_unlock(&share->lock) == 0);
}

/* ---- writing ---- */

struct sum {
    struct map routes; /* to an index of by_route */
    struct tally *by_route;
    size_t n_routes, cap_routes;
    struct tally by_kind[KIND_N];
    uint64_t n_overloaded;
    double seconds;
};

static void
add(struct tally *to, const struct tally *from)
{
    to->n += from->n;
    to->us += from->us;
}

static void
add_window(struct sum *sum, const struct window *w)
{
    struct span route;
    uint64_t *from;
    for (size_t at = 0; map_next(&w->routes, &at, &route, &from);) {
        bool is_new;
        uint64_t *to = map_put(&sum->routes, route, &is_new);
        if (is_new) {
            sum->by_route = xgrow(sum->by_route, &sum->cap_routes, sum->n_routes + 1,
                                  sizeof *sum->by_route);
            sum->by_route[sum->n_routes] = (struct tally){0};
            *to = sum->n_routes++;
        }
        add(&sum->by_route[*to], &w->by_route[*from]);
    }
    for (size_t i = 0; i < KIND_N; i++)
        add(&sum->by_kind[i], &w->by_kind[i]);
    sum->n_overloaded += w->n_overloaded;
}

static void
add_share(struct sum *sum, struct share *share, uint64_t now_us)
{
    must(pthread_mutex_lock(&share->lock) == 0);
    turn_over(share, now_us);
    uint64_t begin_us = share->before.begin_us ? share->before.begin_us : share->now.begin_us;
    double seconds = (double)(now_us - begin_us) / 1e6;
    if (seconds > sum->seconds)
        sum->seconds = seconds;
    add_window(sum, &share->before);
    add_window(sum, &share->now);
    must(pthread_mutex_unlock(&share->lock) == 0);
}

static double
mean_ms(const struct tally *t)
{
    return t->n ? (double)t->us / (double)t->n / 1e3 : 0;
}

static double
rate(const struct sum *sum, uint64_t n)
{
    return sum->seconds > 0 ? (double)n / sum->seconds : 0;
}

static void
put_number(struct buf *out, const char *name, double value)
{
    json_put_name(out, name);
    json_put_double(out, value);
}

static void
put_kind(struct buf *out, const struct sum *sum, const char *name, enum kind kind)
{
    char member[64];
    snprintf(member, sizeof member, "%s_latency_ms", name);
    put_number(out, member, mean_ms(&sum->by_kind[kind]));
    snprintf(member, sizeof member, "%s_requests_per_second", name);
    put_number(out, member, rate(sum, sum->by_kind[kind].n));
}

static void
put_routes(struct buf *out, const struct sum *sum, bool is_latency)
{
    struct span route;
    uint64_t *i;
    buf_putc(out, '{');
    for (size_t at = 0; map_next(&sum->routes, &at, &route, &i);) {
        const struct tally *t = &sum->by_route[*i];
        json_put_comma(out);
        json_put_str(out, route);
        buf_putc(out, ':');
        json_put_double(out, is_latency ? mean_ms(t) : rate(sum, t->n));
    }
    buf_putc(out, '}');
}

static void
put_sum(struct buf *out, const struct sum *sum)
{
    uint64_t n = 0;
    for (size_t i = 0; i < KIND_N; i++)
        n += sum->by_kind[i].n;
    buf_putc(out, '{');
    put_kind(out, sum, "delete", KIND_DELETE);
    put_kind(out, sum, "import", KIND_IMPORT);
    json_put_name(out, "latency_ms");
    put_routes(out, sum, true);
    put_number(out, "overloaded_requests_per_second", rate(sum, sum->n_overloaded));
    put_number(out, "pending_write_batches", 0); /* a write is answered when it is applied */
    json_put_name(out, "requests_per_second");
    put_routes(out, sum, false);
    put_kind(out, sum, "search", KIND_SEARCH);
    put_number(out, "total_requests_per_second", rate(sum, n));
    put_kind(out, sum, "write", KIND_WRITE);
    buf_putc(out, '}');
}

void
app_stats_write(struct app_stats *s, struct buf *out)
{
    struct sum sum = {0};
    uint64_t now_us = clock_us();
    for (unsigned i = 0; i < s->n_shares; i++)
        add_share(&sum, &s->shares[i], now_us);
    put_sum(out, &sum);
    map_fini(&sum.routes);
    free(sum.by_route);
}
