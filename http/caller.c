/*
 * libcurl, and nothing else includes it. curl says which sockets it waits for
 * and when it wants to be woken; the loop's watchers tell it. So a request
 * costs the loop no more than the bytes it moves.
 */
#include "http/caller.h"

#include <strings.h>

#include <curl/curl.h>

enum { CALLER_MAGIC = 0x4843524c, CALL_MAGIC = 0x4843414c, SPARES_MAX = 64 };

/* One request on its way. */
struct call {
    unsigned magic;
    struct http_caller *caller;
    struct call *prev, *next; /* of those on their way */
    CURL *easy;
    struct curl_slist *headers;
    struct buf answer;
    size_t answer_bytes_max;
    bool is_too_large, is_ended; /* by the limit, by the receiver */
    char text[CURL_ERROR_SIZE];
    http_call_piece *piece;
    http_client_done *done;
    void *arg;
};

/* A socket that curl waits for. */
struct watch {
    struct ev_io io;
    struct http_caller *caller;
};

struct http_caller {
    unsigned magic;
    struct ev_loop *ev;
    CURLM *multi;
    struct ev_timer timer;
    struct call *open;
    size_t n_open;
    CURL *spares[SPARES_MAX]; /* handles to reuse */
    size_t n_spares;
};

/* ---- a call ---- */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
    struct call *call = arg;
    must(call->magic == CALL_MAGIC);
    size_t n_bytes = size * n;
    if (call->piece) {
        long status = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        call->is_ended = !call->piece(call->arg, (int)status, span_of(p, n_bytes));
        return call->is_ended ? 0 : n_bytes;
    }
    if (n_bytes > call->answer_bytes_max - call->answer.n) {
        call->is_too_large = true;
        return 0;
    }
    buf_put(&call->answer, p, n_bytes);
    return n_bytes;
}

static void
add_header(struct call *call, const char *line)
{
    struct curl_slist *list = curl_slist_append(call->headers, line);
    must(list);
    call->headers = list;
}

static void
set_headers(struct call *call, const char *const *lines)
{
    bool has_type = false;
    for (; lines && *lines; lines++) {
        add_header(call, *lines);
        has_type |= strncasecmp(*lines, "Content-Type:", 13) == 0;
    }
    /* curl would claim that every body is a form, and wait for a 100 before large ones. */
    if (!has_type)
        add_header(call, "Content-Type:");
    add_header(call, "Expect:");
}

static void
set_method(CURL *easy, const struct http_call *c)
{
    bool has_body = c->body.n > 0 || strcmp(c->method, "POST") == 0 ||
                    strcmp(c->method, "PUT") == 0 || strcmp(c->method, "PATCH") == 0;
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->body.n > 0 ? c->body.p : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.n);
    }
    if (strcmp(c->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, c->method);
}

static long
ms_of(uint64_t us)
{
    uint64_t ms = us / 1000;
    return ms == 0 ? 1 : ms < 1000000000 ? (long)ms : 1000000000L;
}

static void
set_up(struct call *call, const struct http_call *c)
{
    CURL *easy = call->easy;
    set_headers(call, c->headers);
    set_method(easy, c);
    curl_easy_setopt(easy, CURLOPT_URL, c->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ms_of(c->timeout_us));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     ms_of(c->connect_us ? c->connect_us : c->timeout_us));
    if (c->stall_us > 0) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, ms_of(c->stall_us) / 1000 + 1);
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!c->is_identity)
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->text);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

static void
call_free(struct call *call)
{
    struct http_caller *c = call->caller;
    if (c->n_spares < SPARES_MAX) {
        curl_easy_reset(call->easy);
        c->spares[c->n_spares++] = call->easy;
    } else {
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    buf_fini(&call->answer);
    call->magic = 0;
    free(call);
}

static void
unlink_call(struct call *call)
{
    struct http_caller *c = call->caller;
    if (call->prev)
        call->prev->next = call->next;
    else
        c->open = call->next;
    if (call->next)
        call->next->prev = call->prev;
    c->n_open--;
}

/* ---- its end ---- */

static enum rc
rc_of(const struct call *call, CURLcode code)
{
    if (code == CURLE_OK)
        return RC_OK;
    if (call->is_too_large)
        return RC_TOO_LARGE;
    if (call->is_ended)
        return RC_STOPPED;
    return code == CURLE_OPERATION_TIMEDOUT ? RC_CUTOFF : RC_UNREACHABLE;
}

static void
read_answer(const struct call *call, struct http_answer *out)
{
    long status = 0;
    curl_off_t retry_after = 0;
    const char *type = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    out->status = (int)status;
    out->retry_after_s = retry_after > 0 ? (uint64_t)retry_after : 0;
    out->content_type = type ? type : "";
    out->body = buf_span(&call->answer);
}

static void
finish(struct call *call, CURLcode code)
{
    struct http_answer answer = {.rc = rc_of(call, code), .text = "", .content_type = ""};
    if (code == CURLE_OK)
        read_answer(call, &answer);
    else if (call->is_too_large)
        answer.text = "the answer is larger than the limit";
    else
        answer.text = call->text[0] ? call->text : curl_easy_strerror(code);
    unlink_call(call);
    call->done(call->arg, &answer);
    call_free(call);
}

static void
finish_done(struct http_caller *c)
{
    int n_left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(c->multi, &n_left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        char *private_data = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private_data);
        struct call *call = (void *)private_data;
        must(call && call->magic == CALL_MAGIC);
        /* The message is void once its handle is removed. */
        must(curl_multi_remove_handle(c->multi, call->easy) == CURLM_OK);
        finish(call, code);
    }
}

/* ---- what curl asks of the loop ---- */

static void
tell(struct http_caller *c, curl_socket_t fd, int events)
{
    int n_running = 0;
    must(curl_multi_socket_action(c->multi, fd, events, &n_running) == CURLM_OK);
    finish_done(c);
}

static void
on_ready(struct ev_loop *ev, struct ev_io *io, int events)
{
    (void)ev;
    struct watch *w = io->data;
    int what =
        (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0);
    tell(w->caller, io->fd, what); /* may free the watch */
}

static void
on_timer(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    (void)ev;
    (void)events;
    struct http_caller *c = timer->data;
    must(c->magic == CALLER_MAGIC);
    tell(c, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct http_caller *c = arg;
    struct watch *w = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (w)
            ev_io_stop(c->ev, &w->io);
        free(w);
        return 0;
    }
    if (!w) {
        w = xcalloc(1, sizeof *w);
        w->caller = c;
        ev_io_init(&w->io, on_ready, fd, 0);
        w->io.data = w;
        must(curl_multi_assign(c->multi, fd, w) == CURLM_OK);
    }
    ev_io_stop(c->ev, &w->io);
    ev_io_set(&w->io, fd,
              (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(c->ev, &w->io);
    return 0;
}

/*
 * curl asks once for a wake-up and counts on it: one that comes early would be
 * the last. So the loop's clock is brought up to date and a millisecond added.
 */
static int
on_wake_up(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct http_caller *c = arg;
    ev_timer_stop(c->ev, &c->timer);
    if (ms < 0)
        return 0;
    if (ms > 0)
        ev_now_update(c->ev);
    ev_timer_set(&c->timer, ms > 0 ? (double)(ms + 1) / 1e3 : 0, 0);
    ev_timer_start(c->ev, &c->timer);
    return 0;
}

/* ---- life ---- */

enum rc
http_caller_new(struct ev_loop *ev, unsigned connections_max, struct http_caller **out,
                struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, RC_INTERNAL, "starting libcurl");
    struct http_caller *c = xcalloc(1, sizeof *c);
    c->magic = CALLER_MAGIC;
    c->ev = ev;
    c->multi = curl_multi_init();
    must(c->multi);
    ev_timer_init(&c->timer, on_timer, 0, 0);
    c->timer.data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_wake_up);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections_max);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
    *out = c;
    return RC_OK;
}

void
http_caller_free(struct http_caller *c)
{
    if (!c)
        return;
    must(c->magic == CALLER_MAGIC);
    while (c->open) {
        struct call *call = c->open;
        must(curl_multi_remove_handle(c->multi, call->easy) == CURLM_OK);
        call->is_ended = true;
        finish(call, CURLE_ABORTED_BY_CALLBACK);
    }
    for (size_t i = 0; i < c->n_spares; i++)
        curl_easy_cleanup(c->spares[i]);
    curl_multi_cleanup(c->multi); /* stops the watchers of kept connections */
    ev_timer_stop(c->ev, &c->timer);
    c->magic = 0;
    free(c);
    curl_global_cleanup();
}

void
http_caller_send(struct http_caller *c, const struct http_call *what, http_client_done *done,
                 void *arg)
{
    must(c->magic == CALLER_MAGIC && what->method && what->url);
    struct call *call = xcalloc(1, sizeof *call);
    call->magic = CALL_MAGIC;
    call->caller = c;
    call->answer_bytes_max = what->answer_bytes_max;
    call->piece = what->piece;
    call->done = done;
    call->arg = arg;
    call->easy = c->n_spares > 0 ? c->spares[--c->n_spares] : curl_easy_init();
    must(call->easy);
    set_up(call, what);
    call->next = c->open;
    if (call->next)
        call->next->prev = call;
    c->open = call;
    c->n_open++;
    must(curl_multi_add_handle(c->multi, call->easy) == CURLM_OK);
}

size_t
http_caller_n(const struct http_caller *c)
{
    return c->n_open;
}
