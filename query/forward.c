/*
 * A request on its way to Typesense is a flight. Those who ask the very same
 * thing in the same loop meanwhile board it: what is asked holds all that the
 * answer depends on, a scoped key's demands included. A node that lets a
 * flight down is left for the next one until the time is up.
 */
#include "query/forward.h"

#include "base/clock.h"
#include "base/hash.h"

#include "query/engine.h"
#include "query/outgoing.h"

enum { BUCKETS = 256, FLIGHTS_MAX = 1024, ANSWER_MAX = 64 << 20, BAD_GATEWAY = 502 };

static const uint64_t connect_us = 1000000;

struct flight {
    struct flight *next; /* in its bucket */
    struct lane *lane;
    uint64_t hash;
    struct qry_outgoing asked;
    struct http_exchange **waiting; /* malloc'ed; the first one's loop carries the flight */
    size_t n_waiting, cap;
    uint64_t begin_us, deadline_us;
    uint32_t tried; /* a bit for each node */
    int node;
};

/* Of one loop. */
struct lane {
    struct qry_forward *forward;
    struct metrics_block *metrics;
    struct flight *buckets[BUCKETS];
    unsigned n_flights, turn;
    bool is_refusal_known; /* that Typesense does not take the key was logged */
};

struct qry_forward {
    const struct qry_options *options;
    struct qry_upstream *upstream;
    struct qry_shadow *shadow;
    struct lane *lanes;
};

struct qry_forward *
qry_forward_new(const struct qry_options *options, struct qry_upstream *upstream,
                struct qry_shadow *shadow)
{
    struct qry_forward *f = xcalloc(1, sizeof *f);

    *f = (struct qry_forward){.options = options, .upstream = upstream, .shadow = shadow};
    f->lanes = xcalloc(options->n_loops, sizeof *f->lanes);
    for (unsigned i = 0; i < options->n_loops; i++)
        f->lanes[i] = (struct lane){
            .forward = f,
            .metrics = options->metrics ? metrics_block(options->metrics) : NULL,
            .turn = i,
        };
    return f;
}

void
qry_forward_free(struct qry_forward *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->options->n_loops; i++)
        must(f->lanes[i].n_flights == 0);
    free(f->lanes);
    free(f);
}

/* ---- landing ---- */

/* From now on nobody boards. */
static void
leave_lane(struct flight *flight)
{
    struct flight **at = &flight->lane->buckets[flight->hash % BUCKETS];

    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    flight->lane->n_flights--;
}

static void
flight_free(struct flight *flight)
{
    qry_outgoing_fini(&flight->asked);
    free(flight->waiting);
    free(flight);
}

static void
count(const struct flight *flight, const struct http_exchange *x, bool is_error)
{
    const struct qry_options *o = flight->lane->forward->options;
    struct metrics_block *m = flight->lane->metrics;
    uint64_t us = clock_us() - http_exchange_begin_us(x);
    char target[LOG_QUOTE_MAX];

    if (o->log && o->slow_us > 0 && us > o->slow_us)
        log_line(o->log, LOG_WARN, "query", "slow", "ms=%llu forwarded=%s",
                 (unsigned long long)us / 1000, log_quote(buf_span(&flight->asked.target), target));
    metrics_add(m, M_FORWARDS, 1);
    metrics_observe(m, M_FORWARD_TIME, us);
    if (flight->asked.n_searches == 0)
        return;
    metrics_add(m, M_SEARCHES, flight->asked.n_searches);
    metrics_observe(m, M_SEARCH_TIME, us);
    if (is_error)
        metrics_add(m, M_SEARCH_ERRORS, flight->asked.n_searches);
}

/* The answer goes to all who wait, as it is. */
static void
land(struct flight *flight, const struct http_answer *answer)
{
    struct qry_shadow *shadow = flight->lane->forward->shadow;
    struct qry_replay *replay = NULL;

    leave_lane(flight);
    if (answer->status == 200 && flight->asked.n_searches > 0 &&
        qry_shadow_samples(shadow, answer->body))
        replay =
            qry_replay_of_outgoing(&flight->asked, answer->body, clock_us() - flight->begin_us);
    for (size_t i = 0; i < flight->n_waiting; i++) {
        struct buf body = {0};
        count(flight, flight->waiting[i], answer->status >= 400);
        buf_put_span(&body, answer->body);
        http_reply(flight->waiting[i], answer->status, "application/json; charset=utf-8", &body);
    }
    qry_shadow_give(shadow, replay);
    flight_free(flight);
}

static void
fail(struct flight *flight, int status, const char *text)
{
    leave_lane(flight);
    for (size_t i = 0; i < flight->n_waiting; i++) {
        count(flight, flight->waiting[i], true);
        metrics_add(flight->lane->metrics, M_FORWARD_FAILURES, 1);
        if (status != BAD_GATEWAY)
            http_reply_header(flight->waiting[i], "Retry-After", "1");
        http_reply_error(flight->waiting[i], status, "%s", text);
    }
    flight_free(flight);
}

/* ---- on the way ---- */

static void on_answer(void *arg, const struct http_answer *answer);

/* Sends it to a further node. False if there is none, or no time. */
static bool
take_off(struct flight *flight)
{
    struct lane *lane = flight->lane;
    struct qry_upstream *u = lane->forward->upstream;
    uint64_t now = clock_us();
    struct buf url = {0};

    flight->node = qry_upstream_pick(u, lane->turn++, flight->tried);
    if (flight->node < 0 || now >= flight->deadline_us)
        return false;
    flight->tried |= 1u << flight->node;
    /* A node that is silent must leave time to ask another one. */
    uint64_t left_us = flight->deadline_us - now;
    if (qry_upstream_has_other(u, flight->tried))
        left_us /= 2;
    buf_puts(&url, qry_upstream_url(u, flight->node));
    buf_put_span(&url, buf_span(&flight->asked.target));
    buf_putc(&url, '\0');
    const struct http_call call = {
        .method = flight->asked.is_post ? "POST" : "GET",
        .url = url.p,
        .headers = qry_upstream_headers(u),
        .body = buf_span(&flight->asked.body),
        .timeout_us = left_us,
        .connect_us = left_us < connect_us ? left_us : connect_us,
        .answer_bytes_max = ANSWER_MAX,
        .is_identity = true,
    };
    http_exchange_call(flight->waiting[0], &call, on_answer, flight);
    buf_fini(&url);
    return true;
}

/* Whether a node that works would say this. */
static bool
is_answer(const struct http_answer *a)
{
    bool is_json = strncmp(a->content_type, "application/json", 16) == 0;
    bool is_final = a->status >= 200 && (a->status < 300 || a->status >= 400);

    return a->rc == RC_OK && is_json && is_final && a->status != 502 && a->status != 503 &&
           a->status != 504;
}

static void
tell_refusal(struct lane *lane)
{
    if (!lane->is_refusal_known)
        log_line(lane->forward->options->log, LOG_ERROR, "query", "upstream",
                 "Typesense does not accept --typesense-api-key; forwarded requests are answered "
                 "with 502 until it does");
    lane->is_refusal_known = true;
}

static void
on_answer(void *arg, const struct http_answer *a)
{
    struct flight *flight = arg;
    bool is_key_refused = a->status == 401 || a->status == 403;

    if (a->rc == RC_STOPPED) {
        fail(flight, 503, "shutting down");
    } else if (a->rc == RC_TOO_LARGE) {
        fail(flight, BAD_GATEWAY, "Typesense's answer is larger than what is passed on");
    } else if (is_key_refused) {
        tell_refusal(flight->lane);
        fail(flight, BAD_GATEWAY, "Typesense does not accept the key it is asked with");
    } else if (is_answer(a)) {
        land(flight, a);
    } else {
        qry_upstream_failed(flight->lane->forward->upstream, flight->node);
        metrics_add(flight->lane->metrics, M_FORWARD_RETRIES, 1);
        bool is_late = a->rc == RC_CUTOFF;
        if (!take_off(flight))
            fail(flight, is_late ? 504 : 503,
                 is_late ? "Typesense did not answer in time" : "no node of Typesense answers");
    }
}

/* ---- boarding ---- */

static void
board(struct flight *flight, struct http_exchange *x)
{
    flight->waiting = xgrow(flight->waiting, &flight->cap, flight->n_waiting + 1, sizeof x);
    flight->waiting[flight->n_waiting++] = x;
}

static bool
is_same(const struct qry_outgoing *a, const struct qry_outgoing *b)
{
    return a->is_post == b->is_post && span_eq(buf_span(&a->target), buf_span(&b->target)) &&
           span_eq(buf_span(&a->body), buf_span(&b->body));
}

static struct flight *
flight_new(struct lane *lane, struct qry_outgoing *take, uint64_t hash)
{
    struct flight *flight = xcalloc(1, sizeof *flight);

    flight->lane = lane;
    flight->hash = hash;
    flight->asked = *take;
    *take = (struct qry_outgoing){0};
    flight->begin_us = clock_us();
    flight->deadline_us = flight->begin_us + lane->forward->options->forward_us;
    flight->next = lane->buckets[hash % BUCKETS];
    lane->buckets[hash % BUCKETS] = flight;
    lane->n_flights++;
    return flight;
}

/* *take is moved into the flight, or freed. */
static void
go(struct qry_forward *f, struct http_exchange *x, struct qry_outgoing *take)
{
    struct lane *lane = &f->lanes[http_exchange_loop(x)];
    uint64_t hash = hash64_more(hash64(buf_span(&take->target)), buf_span(&take->body));
    struct flight *flight = lane->buckets[hash % BUCKETS];

    while (flight && (flight->hash != hash || !is_same(&flight->asked, take)))
        flight = flight->next;
    if (flight) {
        qry_outgoing_fini(take);
        board(flight, x);
        metrics_add(lane->metrics, M_FORWARDS_JOINED, 1);
        return;
    }
    if (lane->n_flights >= FLIGHTS_MAX) {
        qry_outgoing_fini(take);
        http_reply_header(x, "Retry-After", "1");
        http_reply_error(x, 503, "too many requests wait for Typesense; try again");
        return;
    }
    flight = flight_new(lane, take, hash);
    board(flight, x);
    if (!take_off(flight))
        fail(flight, 503, "no node of Typesense answers");
}

void
qry_forward_search(struct qry_forward *f, struct qry_ctx *ctx, struct http_exchange *x,
                   bool is_multi)
{
    struct qry_outgoing asked = {0};
    struct qry_gathered gathered;
    struct err err = {0};

    enum rc rc = qry_gather(ctx, x, qry_ctx_begin(ctx), is_multi, &gathered, &err);
    if (rc == RC_OK)
        rc = qry_outgoing_search(&gathered, &ctx->arena, &asked, &err);
    qry_ctx_end(ctx);
    if (rc == RC_OK) {
        go(f, x, &asked);
        return;
    }
    qry_outgoing_fini(&asked);
    qry_http_fail(x, rc, &err);
}

void
qry_forward_read(struct qry_forward *f, struct http_exchange *x)
{
    struct qry_outgoing asked = {0};
    struct err err = {0};
    enum rc rc = qry_outgoing_read(http_exchange_request(x), &asked, &err);

    if (rc == RC_OK) {
        go(f, x, &asked);
        return;
    }
    qry_outgoing_fini(&asked);
    qry_http_fail(x, rc, &err);
}
