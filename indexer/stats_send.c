/*
 * Sending emote statistics to ClickHouse: one batch at a time, in order, each
 * under its token until it is acknowledged. Batches that pile up while
 * ClickHouse is away and that it cannot have seen are summed into one.
 *
 * ClickHouse drops an insert whose insert_deduplication_token it has seen, but
 * only where the table keeps a window of them: Replicated engines, or
 * non_replicated_deduplication_window. A table without is refused.
 * (clickhouse.com/docs, "Deduplicating inserts on retries")
 */
#include "indexer/stats_parts.h"

#include "base/clock.h"

enum {
    TIMEOUT_US = 3000000,
    TIMEOUT_US_MAX = 24000000,
    ANSWER_BYTES_MAX = 64 << 10,
    PILE_MIN = 8,          /* batches before they are summed */
    PILE_ROWS_MAX = 50000, /* of a sum */
    WAIT_US = 1000000,
};

/* ---- asking ---- */

static void
set_trouble(struct ing_stats *s, const struct err *err)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->trouble, sizeof s->trouble, "%s", err ? err->text : "");
    s->n_troubles += err != NULL;
    pthread_mutex_unlock(&s->lock);
    if (err)
        metrics_add(s->metrics, M_STATS_ERRORS, 1);
}

/* A statement with its data as the body; the answer's text into *out. */
static enum rc
ask(struct ing_stats *s, const char *parameters, struct span body, uint64_t timeout_us,
    struct buf *out, struct err *err)
{
    struct buf url = {0};
    int status = 0;
    bool has_query = strchr(s->url, '?') != NULL;
    buf_printf(&url, "%s%s%s", s->url, has_query ? "&" : "/?", parameters);
    buf_putc(&url, 0);
    const struct http_call call = {.method = "POST",
                                   .url = url.p,
                                   .headers = s->headers,
                                   .body = body,
                                   .timeout_us = timeout_us,
                                   .answer_bytes_max = ANSWER_BYTES_MAX};
    enum rc rc = http_client_fetch(s->client, &call, &status, out, err);
    if (rc == RC_OK && status != 200)
        rc = err_set(err, RC_UNREACHABLE, "ClickHouse answered %d: %.*s", status,
                     (int)(out->n < 300 ? out->n : 300), out->p ? out->p : "");
    buf_fini(&url);
    return rc;
}

/* ---- the table ---- */

/* The number behind `name = `; -1 if it is not there. */
static int64_t
setting_of(struct span statement, const char *name)
{
    size_t n = strlen(name);
    for (size_t at = 0; at + n < statement.n; at++) {
        struct span rest = span_from(statement, at);
        /* Not the tail of a longer name. */
        if (!span_starts(rest, span_of(name, n)) || (at > 0 && statement.p[at - 1] == '_'))
            continue;
        rest = span_trim(span_from(rest, n));
        if (rest.n == 0 || rest.p[0] != '=')
            continue;
        rest = span_trim(span_from(rest, 1));
        size_t n_digits = 0;
        while (n_digits < rest.n && rest.p[n_digits] >= '0' && rest.p[n_digits] <= '9')
            n_digits++;
        int64_t value;
        return span_i64(span_of(rest.p, n_digits), &value) ? value : -1;
    }
    return -1;
}

static enum rc
judge(const char *table, struct span engine, struct span statement, struct err *err)
{
    bool is_replicated =
        span_starts(engine, SPAN_LIT("Replicated")) || span_starts(engine, SPAN_LIT("Shared"));
    bool has_window = is_replicated
                          ? setting_of(statement, "replicated_deduplication_window") != 0
                          : setting_of(statement, "non_replicated_deduplication_window") > 0;
    if (has_window)
        return RC_OK;
    return err_set(
        err, RC_INVALID,
        "the ClickHouse table %s (%.*s) cannot tell a repeated insert from a new one, "
        "so a retry would count twice: use a Replicated engine, or ALTER TABLE %s MODIFY "
        "SETTING non_replicated_deduplication_window = 1000",
        table, SPAN_ARG(engine), table);
}

/* RC_INVALID: the table is not fit; other errors: not known. */
static enum rc
check_table(struct ing_stats *s, struct err *err)
{
    struct buf query = {0}, answer = {0};
    struct arena arena = {0};
    struct json row;
    struct span table = span_str(s->options.table), database = {0};
    size_t dot = span_find(table, 0, '.');
    if (dot < table.n) {
        database = span_of(table.p, dot);
        table = span_from(table, dot + 1);
    }
    buf_puts(&query, "SELECT engine, create_table_query FROM system.tables WHERE database = ");
    if (database.n)
        buf_printf(&query, "'%.*s'", SPAN_ARG(database));
    else
        buf_puts(&query, "currentDatabase()");
    buf_printf(&query, " AND name = '%.*s' FORMAT JSONEachRow", SPAN_ARG(table));
    enum rc rc = ask(s, "wait_end_of_query=1", buf_span(&query), TIMEOUT_US, &answer, err);
    if (rc == RC_OK && span_trim(buf_span(&answer)).n == 0)
        rc = err_set(err, RC_INVALID, "ClickHouse has no table %s", s->options.table);
    else if (rc == RC_OK && json_parse(buf_span(&answer), &arena, &row, NULL))
        rc = err_set(err, RC_UNREACHABLE, "ClickHouse's answer about its table is not JSON");
    else if (rc == RC_OK)
        rc = judge(s->options.table, json_get_str(&row, "engine", (struct span){0}),
                   json_get_str(&row, "create_table_query", (struct span){0}), err);
    s->is_checked = rc == RC_OK;
    arena_fini(&arena);
    buf_fini(&query);
    buf_fini(&answer);
    return rc;
}

/* ---- batches ---- */

static void
remove_entry(struct ing_stats *s, const struct ing_stats_batch *b)
{
    struct idx_batch *to = idx_batch_new();
    ing_stats_drop_entry(b, to);
    (void)idx_submit(s->m->options.idx, &to); /* closing: it is sent once more, in vain */
}

/* Entries of a batch of the index are sent only when no crash can undo them. */
static bool
is_durable(struct ing_stats *s, struct ing_stats_batch *b)
{
    if (b->ticket && idx_wait(s->m->options.idx, b->ticket, IDX_DURABLE, WAIT_US))
        return false;
    b->ticket = 0;
    return true;
}

/*
 * Sums what stands behind the head into one batch with a token of its own. The
 * head may have been sent: it stays as it is.
 */
static void
sum_pile(struct ing_stats *s)
{
    struct ing_stats_rows rows = {0};
    struct buf text = {0};
    struct ing_stats_batch *first = s->first->next, *end = first;
    struct idx_batch *to = idx_batch_new();
    size_t n_rows = 0, n = 0;
    for (; end && !end->was_sent && is_durable(s, end) && n_rows < PILE_ROWS_MAX; end = end->next) {
        ing_stats_rows_read(&rows, buf_span(&end->rows));
        ing_stats_drop_entry(end, to);
        n_rows += end->n_rows;
        n++;
    }
    if (n > 1) {
        size_t n_summed = ing_stats_rows_write(&rows, &text);
        struct ing_stats_batch *sum = ing_stats_batch_new(s, &text, n_summed);
        ing_stats_put_entry(sum, true, to);
        sum->ticket = idx_submit(s->m->options.idx, &to);
        pthread_mutex_lock(&s->lock);
        s->first->next = sum;
        sum->next = end;
        s->end = end ? s->end : &sum->next;
        s->n_batches -= n - 1;
        pthread_mutex_unlock(&s->lock);
        for (struct ing_stats_batch *b = first, *next; b != end; b = next) {
            next = b->next;
            ing_stats_batch_free(b);
        }
    }
    idx_batch_free(to);
    ing_stats_rows_fini(&rows);
    buf_fini(&text);
}

static enum rc
send_batch(struct ing_stats *s, struct ing_stats_batch *b, uint64_t timeout_us, struct err *err)
{
    struct buf parameters = {0}, answer = {0};
    buf_printf(&parameters,
               "query=INSERT%%20INTO%%20%s%%20(emote_id,%%20date,%%20count)%%20FORMAT%%20"
               "TabSeparated&insert_deduplicate=1&async_insert=0&wait_end_of_query=1"
               "&insert_deduplication_token=%s",
               s->options.table, b->token);
    buf_putc(&parameters, 0);
    b->was_sent = true;
    enum rc rc = ask(s, parameters.p, buf_span(&b->rows), timeout_us, &answer, err);
    buf_fini(&parameters);
    buf_fini(&answer);
    return rc;
}

static void
finish_head(struct ing_stats *s)
{
    struct ing_stats_batch *b = s->first;
    remove_entry(s, b);
    metrics_add(s->metrics, M_STATS_ROWS, b->n_rows);
    pthread_mutex_lock(&s->lock);
    s->first = b->next;
    s->end = s->first ? s->end : &s->first;
    s->n_batches--;
    s->n_rows_sent += b->n_rows;
    pthread_mutex_unlock(&s->lock);
    set_trouble(s, NULL);
    ing_stats_batch_free(b);
}

/* ---- the thread ---- */

static void
wait_until(struct ing_stats *s, uint64_t until_us)
{
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    (void)pthread_cond_timedwait(&s->wake, &s->lock, &at); /* the caller looks again */
}

/* Waits for a batch, at least until not_before_us; false once closed. */
static bool
await_batch(struct ing_stats *s, uint64_t not_before_us, size_t *n)
{
    pthread_mutex_lock(&s->lock);
    while (!s->is_closed && (!s->first || clock_us() < not_before_us))
        wait_until(s, s->first ? not_before_us : clock_us() + WAIT_US);
    bool is_open = !s->is_closed;
    *n = s->n_batches;
    pthread_mutex_unlock(&s->lock);
    return is_open;
}

static void *
send_main(void *arg)
{
    struct ing_stats *s = arg;
    uint64_t not_before_us = 0, timeout_us = TIMEOUT_US;
    unsigned n_tries = 0;
    size_t n;
    (void)pthread_setname_np(pthread_self(), "emote-stats"); /* for top and gdb only */
    while (await_batch(s, not_before_us, &n)) {
        struct err err;
        enum rc rc = s->is_checked ? RC_OK : check_table(s, &err);
        if (n >= PILE_MIN)
            sum_pile(s);
        if (rc == RC_OK && !is_durable(s, s->first))
            continue;
        if (rc == RC_OK)
            rc = send_batch(s, s->first, timeout_us, &err);
        if (rc == RC_OK) {
            finish_head(s);
            n_tries = 0;
            timeout_us = TIMEOUT_US;
            continue;
        }
        uint64_t wait_us = ing_backoff_us(n_tries++);
        char quoted[LOG_QUOTE_MAX];
        timeout_us = rc == RC_CUTOFF && timeout_us < TIMEOUT_US_MAX ? timeout_us * 2 : timeout_us;
        not_before_us = clock_us() + wait_us;
        set_trouble(s, &err);
        log_line(s->m->options.log, LOG_WARN, "indexer", "statistics",
                 "batches=%zu error=%s retry_ms=%llu", n, log_quote(span_str(err.text), quoted),
                 (unsigned long long)(wait_us / 1000));
    }
    return NULL;
}

/* ---- start and stop ---- */

/* Takes `user:password@` out of the URL: it would show in logs. */
static void
read_url(struct ing_stats *s)
{
    struct span url = span_str(s->options.url), user = {0}, password = {0};
    size_t scheme = 0;
    while (scheme + 3 <= url.n && memcmp(url.p + scheme, "://", 3) != 0)
        scheme++;
    size_t begin = scheme + 3 <= url.n ? scheme + 3 : 0;
    size_t slash = span_find(url, begin, '/'), at = span_find(url, begin, '@');
    struct buf clean = {0};
    buf_put(&clean, url.p, begin);
    if (at < slash) {
        size_t colon = span_find(url, begin, ':');
        user = span_of(url.p + begin, (colon < at ? colon : at) - begin);
        password = colon < at ? span_of(url.p + colon + 1, at - colon - 1) : password;
        begin = at + 1;
    }
    struct span rest = span_from(url, begin);
    if (rest.n && rest.p[rest.n - 1] == '/')
        rest.n--;
    buf_put_span(&clean, rest);
    struct arena *texts = &s->texts;
    s->url = arena_str(texts, buf_span(&clean));
    buf_fini(&clean);
    const char *name = s->options.user, *secret = s->options.password;
    name = name && *name ? name : arena_str(texts, user);
    secret = secret && *secret ? secret : arena_str(texts, password);
    if (*name) {
        s->headers[0] = arena_printf(texts, "X-ClickHouse-User: %s", name).p;
        s->headers[1] = arena_printf(texts, "X-ClickHouse-Key: %s", secret).p;
    }
}

static bool
is_table_name(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool is_ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
                     (c >= '0' && c <= '9');
        if (!is_ok)
            return false;
    }
    return n > 0;
}

enum rc
ing_stats_send_start(struct ing_stats *s, struct err *err)
{
    bool is_http = span_starts(span_str(s->options.url), SPAN_LIT("http://")) ||
                   span_starts(span_str(s->options.url), SPAN_LIT("https://"));
    if (!is_http)
        return err_set(err, RC_INVALID,
                       "the ClickHouse URL does not begin with http:// or https://");
    if (!is_table_name(s->options.table))
        return err_set(err, RC_INVALID, "the ClickHouse table is to be a name, or database.name");
    read_url(s);
    enum rc rc = http_client_new(1, &s->client, err);
    if (rc != RC_OK)
        return rc;
    struct err asked;
    rc = check_table(s, &asked);
    if (rc == RC_INVALID)
        return err_set(err, rc, "%s", asked.text);
    if (rc != RC_OK) {
        char quoted[LOG_QUOTE_MAX];
        set_trouble(s, &asked);
        log_line(s->m->options.log, LOG_WARN, "indexer", "statistics",
                 "error=%s; its table is looked at before anything is sent",
                 log_quote(span_str(asked.text), quoted));
    }
    int created = pthread_create(&s->thread, NULL, send_main, s);
    must(created == 0);
    s->is_sending = true;
    return RC_OK;
}

void
ing_stats_send_stop(struct ing_stats *s)
{
    pthread_mutex_lock(&s->lock);
    s->is_closed = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->is_sending)
        pthread_join(s->thread, NULL);
    http_client_free(s->client);
    arena_fini(&s->texts);
}
