#include "bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { EVENTS_MAX = 256, PIECE_BYTES = 256 * 1024, CONN_MAGIC = 0x4c4f4144 };

struct conn {
    unsigned magic;
    int fd;
    const struct load_request *request; /* the one that is out; NULL: free */
    size_t n_sent;
    uint64_t due_us; /* when it was to be sent */
    struct buf in;
    size_t answer_n; /* of head and body; 0: not known yet */
    bool is_chunked;
    int status;
    bool is_free; /* in the list */
    struct conn *next_free;
};

struct load {
    const struct load_options *options;
    const struct load_list *list;
    struct load_result *result;
    struct sockaddr_in to;
    int epoll;
    struct conn *conns, *free;
    uint64_t n_begun;                      /* requests */
    uint64_t begin_us, counted_us, end_us; /* begin of all, end of the warm-up, end */
};

/* ---- the list ---- */

static unsigned
kind_of(struct load_list *list, const char *name)
{
    for (unsigned i = 0; i < list->n_kinds; i++) {
        if (strcmp(list->kinds[i], name) == 0)
            return i;
    }
    must(list->n_kinds < LOAD_KINDS_MAX);
    list->kinds[list->n_kinds] = name;
    return list->n_kinds++;
}

void
load_add(struct load_list *list, const char *kind, const char *method, const char *target,
         const char *headers, struct span body)
{
    list->requests = xgrow(list->requests, &list->cap, list->n + 1, sizeof *list->requests);
    struct load_request *r = &list->requests[list->n++];
    *r = (struct load_request){.kind = kind_of(list, kind)};
    buf_printf(&r->text, "%s %s HTTP/1.1\r\nHost: bench\r\n%s", method, target, headers);
    if (body.n > 0)
        buf_printf(&r->text, "Content-Length: %zu\r\n", body.n);
    buf_puts(&r->text, "\r\n");
    buf_put_span(&r->text, body);
}

void
load_fini(struct load_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        buf_fini(&list->requests[i].text);
    free(list->requests);
    *list = (struct load_list){0};
}

/* ---- connections ---- */

static void
set_free(struct load *l, struct conn *c)
{
    c->request = NULL;
    if (c->is_free)
        return;
    c->is_free = true;
    c->next_free = l->free;
    l->free = c;
}

static enum rc
conn_connect(struct load *l, struct conn *c, struct err *err)
{
    const int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(c->fd >= 0);
    if (connect(c->fd, (const struct sockaddr *)&l->to, sizeof l->to) != 0)
        return err_sys(err, RC_UNREACHABLE, errno, "connecting to port %d", l->options->port);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    must(epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0);
    set_free(l, c);
    return RC_OK;
}

static void
conn_lost(struct load *l, struct conn *c)
{
    l->result->n_lost++;
    close(c->fd);
    buf_clear(&c->in);
    if (conn_connect(l, c, NULL))
        c->fd = -1;
}

static void
wait_for_room(struct load *l, struct conn *c, bool is_wanted)
{
    struct epoll_event event = {.events = is_wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    must(epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0);
}

static void
conn_send(struct load *l, struct conn *c)
{
    struct span text = buf_span(&c->request->text);
    bool had_to_wait = c->n_sent > 0;
    ssize_t n = send(c->fd, text.p + c->n_sent, text.n - c->n_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        conn_lost(l, c);
        return;
    }
    c->n_sent += n > 0 ? (size_t)n : 0;
    if (c->n_sent < text.n)
        wait_for_room(l, c, true);
    else if (had_to_wait)
        wait_for_room(l, c, false);
}

/* Sends the next request of the list on a free connection. */
static void
begin_request(struct load *l, uint64_t due_us)
{
    struct conn *c = l->free;
    l->free = c->next_free;
    c->is_free = false;
    c->request = &l->list->requests[l->n_begun++ % l->list->n];
    c->due_us = due_us;
    c->n_sent = 0;
    c->answer_n = 0;
    c->is_chunked = false;
    buf_clear(&c->in);
    conn_send(l, c);
}

/* ---- answers ---- */

static const char *
find_header(const struct conn *c, size_t head_n, const char *name)
{
    size_t name_n = strlen(name);
    for (size_t at = 0; at + name_n < head_n;) {
        if (strncasecmp(c->in.p + at, name, name_n) == 0)
            return c->in.p + at + name_n;
        at = span_find(buf_span(&c->in), at, '\n') + 1;
    }
    return NULL;
}

static void
parse_head(struct conn *c)
{
    const char *end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);
    if (!end)
        return;
    size_t head_n = (size_t)(end - c->in.p) + 4;
    c->status = (int)strtol(c->in.p + 9, NULL, 10);
    const char *length = find_header(c, head_n, "Content-Length:");
    c->is_chunked = !length;
    c->answer_n = head_n + (length ? (size_t)strtoull(length, NULL, 10) : 0);
}

static bool
is_complete(struct conn *c)
{
    if (c->answer_n == 0)
        parse_head(c);
    if (c->answer_n == 0 || c->in.n < c->answer_n)
        return false;
    return !c->is_chunked || (c->in.n > 7 && memcmp(c->in.p + c->in.n - 5, "0\r\n\r\n", 5) == 0);
}

static void
count_answer(struct load *l, const struct conn *c)
{
    uint64_t now = clock_us();
    l->result->n_errors += c->status >= 400;
    if (now < l->counted_us)
        return;
    hist_add(&l->result->all, now - c->due_us);
    hist_add(&l->result->by_kind[c->request->kind], now - c->due_us);
}

static void
conn_receive(struct load *l, struct conn *c)
{
    buf_reserve(&c->in, PIECE_BYTES);
    ssize_t n = recv(c->fd, c->in.p + c->in.n, PIECE_BYTES, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || !c->request) {
        conn_lost(l, c);
        return;
    }
    c->in.n += (size_t)n;
    l->result->n_bytes += (uint64_t)n;
    if (!is_complete(c))
        return;
    count_answer(l, c);
    set_free(l, c);
}

/* ---- the loop ---- */

/* When request i is due. */
static uint64_t
due_us(const struct load *l, uint64_t i)
{
    return l->begin_us + (uint64_t)((double)i * 1e6 / l->options->rate);
}

static void
begin_requests(struct load *l, uint64_t now)
{
    while (l->free && l->options->rate <= 0)
        begin_request(l, clock_us());
    while (l->free && l->options->rate > 0 && due_us(l, l->n_begun) <= now)
        begin_request(l, due_us(l, l->n_begun));
}

/* Waits for answers, but not past the next request's time or the end. */
static void
wait_and_receive(struct load *l, uint64_t now)
{
    uint64_t until = l->end_us;
    if (l->free && l->options->rate > 0 && due_us(l, l->n_begun) < until)
        until = due_us(l, l->n_begun);
    uint64_t wait_us = until > now ? until - now : 0;
    struct timespec ts = {.tv_sec = (time_t)(wait_us / 1000000),
                          .tv_nsec = (long)(wait_us % 1000000) * 1000};
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_pwait2(l->epoll, events, EVENTS_MAX, &ts, NULL);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        must(c->magic == CONN_MAGIC);
        if ((events[i].events & EPOLLOUT) && c->request)
            conn_send(l, c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            conn_receive(l, c);
    }
}

static void
run(struct load *l)
{
    const struct load_options *o = l->options;
    l->begin_us = clock_us();
    l->counted_us = l->begin_us + o->warm_up_us;
    l->end_us = l->counted_us + o->duration_us;
    for (uint64_t now = l->begin_us; now < l->end_us; now = clock_us()) {
        begin_requests(l, now);
        wait_and_receive(l, now);
    }
    uint64_t now = clock_us();
    l->result->seconds = (double)(now - l->counted_us) / 1e6;
    while (o->rate > 0 && due_us(l, l->n_begun) <= now) {
        l->result->n_late++;
        l->n_begun++;
    }
}

enum rc
load_run(const struct load_options *options, const struct load_list *list,
         struct load_result *result, struct err *err)
{
    must(list->n > 0 && options->n_connections > 0);
    struct load l = {.options = options, .list = list, .result = result};
    enum rc rc = RC_OK;
    memset(result, 0, sizeof *result);
    l.to.sin_family = AF_INET;
    l.to.sin_port = htons((uint16_t)options->port);
    if (inet_pton(AF_INET, options->host ? options->host : "127.0.0.1", &l.to.sin_addr) != 1)
        return err_set(err, RC_INVALID, "%s is no IPv4 address", options->host);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    must(l.epoll >= 0);
    l.conns = xcalloc(options->n_connections, sizeof *l.conns);
    unsigned n_open = 0;
    for (; n_open < options->n_connections && rc == RC_OK; n_open++) {
        l.conns[n_open].magic = CONN_MAGIC;
        rc = conn_connect(&l, &l.conns[n_open], err);
    }
    if (rc == RC_OK)
        run(&l);
    for (unsigned i = 0; i < n_open; i++) {
        if (l.conns[i].fd >= 0)
            close(l.conns[i].fd);
        buf_fini(&l.conns[i].in);
    }
    close(l.epoll);
    free(l.conns);
    return rc;
}

void
load_print(const struct load_list *list, const struct load_result *result, const char *title)
{
    printf("%s: %.0f requests/s, %.1f MB/s, %llu errors, %llu connections lost, %llu late\n", title,
           (double)result->all.n / result->seconds, (double)result->n_bytes / result->seconds / 1e6,
           (unsigned long long)result->n_errors, (unsigned long long)result->n_lost,
           (unsigned long long)result->n_late);
    hist_print(&result->all, "  all");
    for (unsigned i = 0; list->n_kinds > 1 && i < list->n_kinds; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "  %s", list->kinds[i]);
        hist_print(&result->by_kind[i], name);
    }
}
