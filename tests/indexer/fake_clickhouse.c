#include "tests/indexer/fake_clickhouse.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

/* ---- what an insert does ---- */

static struct span
header(struct span head, const char *name)
{
    size_t n = strlen(name);
    while (head.n) {
        struct span line = span_split(&head, '\n');
        if (line.n > n && strncasecmp(line.p, name, n) == 0 && line.p[n] == ':')
            return span_trim(span_from(line, n + 1));
    }
    return (struct span){0};
}

static void
take_rows(struct fake_clickhouse *f, struct span rows)
{
    while (rows.n) {
        struct span line = span_split(&rows, '\n');
        struct span emote = span_split(&line, '\t'), day = span_split(&line, '\t');
        int64_t count;
        must(emote.n == 36 && day.n == 10 && span_i64(line, &count) && count != 0);
        uint64_t *sum = map_put(&f->sums, emote, NULL);
        *sum = (uint64_t)((int64_t)*sum + count);
        (void)map_put(&f->days, day, NULL);
    }
}

static void
take_insert(struct fake_clickhouse *f, struct span token, struct span rows)
{
    bool is_new;
    pthread_mutex_lock(&f->lock);
    f->n_inserts++;
    uint64_t *seen = map_put(&f->tokens, token, &is_new);
    if (is_new) {
        *seen = hash64(rows);
        take_rows(f, rows);
    } else {
        f->n_repeats++;
        f->n_other_rows += *seen != hash64(rows);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- HTTP, as little as will do ---- */

static void
reply(int fd, int status, const char *body)
{
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d x\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
                     strlen(body), body);
    (void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

/* The whole request; false if the other side went. */
static bool
read_request(int fd, struct buf *in, struct span *head, struct span *body)
{
    for (;;) {
        char piece[16384];
        const char *end = in->n ? memmem(in->p, in->n, "\r\n\r\n", 4) : NULL;
        if (end) {
            uint64_t length = 0;
            *head = span_of(in->p, (size_t)(end - in->p));
            (void)span_u64(header(*head, "content-length"), &length);
            size_t begin = head->n + 4;
            *body = span_of(in->p + begin, length);
            if (in->n >= begin + length)
                return true;
        }
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0)
            return false;
        buf_put(in, piece, (size_t)n);
    }
}

static struct span
token_of(struct span head)
{
    static const char name[] = "insert_deduplication_token=";
    const char *at = memmem(head.p, head.n, name, sizeof name - 1);
    must(at);
    struct span rest = span_from(head, (size_t)(at - head.p) + sizeof name - 1);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '&')
        n++;
    return span_of(rest.p, n);
}

static void
answer_insert(struct fake_clickhouse *f, int fd, struct span head, struct span body)
{
    int mood = atomic_load(&f->mood);
    if (mood == FAKE_AT_RANDOM)
        mood = (int)rng_below(&f->rng, 3); /* well, refuses, cuts */
    if (mood == FAKE_REFUSES) {
        reply(fd, 500, "Code: 242. DB::Exception: Table is in readonly mode");
        return;
    }
    take_insert(f, token_of(head), body);
    for (int i = 0; mood == FAKE_SLOW && i < 50 && !atomic_load(&f->is_closed); i++)
        clock_sleep_us(100000);
    if (mood != FAKE_CUTS)
        reply(fd, 200, "");
}

static void
answer(struct fake_clickhouse *f, int fd)
{
    struct buf in = {0};
    struct span head, body;
    char text[1024];
    if (atomic_load(&f->mood) == FAKE_AWAY || !read_request(fd, &in, &head, &body)) {
        buf_fini(&in);
        return;
    }
    bool is_known = span_eq_str(header(head, "x-clickhouse-user"), "tail") &&
                    span_eq_str(header(head, "x-clickhouse-key"), "fin");
    if (!is_known || header(head, "authorization").n) {
        pthread_mutex_lock(&f->lock);
        f->n_denied++;
        pthread_mutex_unlock(&f->lock);
        reply(fd, 403, "Authentication failed");
    } else if (memmem(head.p, head.n, "INSERT", 6)) {
        answer_insert(f, fd, head, body);
    } else {
        text[0] = 0;
        if (f->engine)
            snprintf(text, sizeof text, "{\"engine\":\"%s\",\"create_table_query\":\"%s\"}\n",
                     f->engine, f->statement);
        reply(fd, 200, text);
    }
    buf_fini(&in);
}

static void *
serve(void *arg)
{
    struct fake_clickhouse *f = arg;
    while (!atomic_load(&f->is_closed)) {
        struct pollfd p = {.fd = f->listener, .events = POLLIN};
        if (poll(&p, 1, 50) <= 0)
            continue;
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            continue;
        answer(f, fd);
        close(fd);
    }
    return NULL;
}

void
fake_start(struct fake_clickhouse *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    *f = (struct fake_clickhouse){
        .engine = "SummingMergeTree",
        .statement = "CREATE TABLE d.emote_stats (...) ENGINE = SummingMergeTree(count) ORDER BY "
                     "(emote_id, date) SETTINGS non_replicated_deduplication_window = 1000"};
    f->rng = rng_new();
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(f->listener >= 0 && bind(f->listener, (struct sockaddr *)&address, n) == 0 &&
         listen(f->listener, 16) == 0 &&
         getsockname(f->listener, (struct sockaddr *)&address, &n) == 0);
    snprintf(f->url, sizeof f->url, "http://tail:fin@127.0.0.1:%d/", ntohs(address.sin_port));
    must(pthread_mutex_init(&f->lock, NULL) == 0);
    must(pthread_create(&f->thread, NULL, serve, f) == 0);
}

void
fake_stop(struct fake_clickhouse *f)
{
    atomic_store(&f->is_closed, true);
    must(pthread_join(f->thread, NULL) == 0);
    close(f->listener);
    map_fini(&f->tokens);
    map_fini(&f->sums);
    map_fini(&f->days);
    pthread_mutex_destroy(&f->lock);
}

long long
fake_sum(struct fake_clickhouse *f, const unsigned char *emote)
{
    char text[40] = "";
    size_t n = 0;
    for (size_t i = 0; emote && i < 16; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%02x",
                              i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", emote[i]);
    struct span key;
    uint64_t *value;
    int64_t sum = 0;
    pthread_mutex_lock(&f->lock);
    for (size_t at = 0; map_next(&f->sums, &at, &key, &value);)
        sum += !emote || span_eq_str(key, text) ? (int64_t)*value : 0;
    pthread_mutex_unlock(&f->lock);
    return sum;
}
