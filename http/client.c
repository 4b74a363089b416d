#include "http/client.h"

#include <pthread.h>
#include <strings.h>

#include <curl/curl.h>

enum { CLIENT_MAGIC = 0x48434c49, CALL_MAGIC = 0x4843414c, POLL_MS = 1000, SPARES_MAX = 32 };

/* One request on its way. */
struct call {
    unsigned magic;
    struct call *next; /* while it waits to be begun */
    CURL *easy;
    struct curl_slist *headers;
    struct buf answer;
    size_t answer_bytes_max;
    bool is_too_large;
    char text[CURL_ERROR_SIZE];
    http_client_done *done;
    void *arg;
};

struct http_client {
    unsigned magic;
    CURLM *multi; /* of the thread, except for curl_multi_wakeup */
    pthread_t thread;
    size_t n_open; /* of the thread: calls begun and not done */

    pthread_mutex_t mutex;
    struct call *first, *last; /* to be begun */
    CURL *spares[SPARES_MAX];  /* handles to reuse */
    size_t n_spares;
    bool is_stopping;
};

/* ---- a call ---- */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
    struct call *call = arg;
    must(call->magic == CALL_MAGIC);
    size_t n_bytes = size * n;
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

static void
set_up(struct call *call, const struct http_call *c)
{
    CURL *easy = call->easy;
    uint64_t ms = c->timeout_us / 1000;
    long timeout_ms = ms == 0 ? 1 : ms < 1000000000 ? (long)ms : 1000000000L;
    set_headers(call, c->headers);
    set_method(easy, c);
    curl_easy_setopt(easy, CURLOPT_URL, c->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->text);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

static void
call_free(struct http_client *c, struct call *call)
{
    must(pthread_mutex_lock(&c->mutex) == 0);
    bool is_kept = c->n_spares < SPARES_MAX;
    if (is_kept) {
        curl_easy_reset(call->easy);
        c->spares[c->n_spares++] = call->easy;
    }
    pthread_mutex_unlock(&c->mutex);
    if (!is_kept)
        curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    buf_fini(&call->answer);
    call->magic = 0;
    free(call);
}

/* ---- the client's thread ---- */

static enum rc
rc_of(const struct call *call, CURLcode code)
{
    if (code == CURLE_OK)
        return RC_OK;
    if (call->is_too_large)
        return RC_TOO_LARGE;
    return code == CURLE_OPERATION_TIMEDOUT ? RC_CUTOFF : RC_UNREACHABLE;
}

static void
finish(struct http_client *c, struct call *call, CURLcode code)
{
    struct http_answer answer = {.rc = rc_of(call, code), .text = ""};
    if (code == CURLE_OK) {
        long status = 0;
        curl_off_t retry_after = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after);
        answer.status = (int)status;
        answer.retry_after_s = retry_after > 0 ? (uint64_t)retry_after : 0;
        answer.body = buf_span(&call->answer);
    } else if (call->is_too_large) {
        answer.text = "the answer is larger than the limit";
    } else {
        answer.text = call->text[0] ? call->text : curl_easy_strerror(code);
    }
    call->done(call->arg, &answer);
    call_free(c, call);
}

/* Begins what waits. False once there is nothing left and the client is to stop. */
static bool
begin_waiting(struct http_client *c)
{
    must(pthread_mutex_lock(&c->mutex) == 0);
    struct call *first = c->first;
    c->first = c->last = NULL;
    bool is_stopping = c->is_stopping;
    pthread_mutex_unlock(&c->mutex);
    bool has_any = first != NULL;
    while (first) {
        struct call *call = first;
        first = call->next;
        must(curl_multi_add_handle(c->multi, call->easy) == CURLM_OK);
        c->n_open++;
    }
    return has_any || c->n_open > 0 || !is_stopping;
}

static void
finish_done(struct http_client *c)
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
        c->n_open--;
        finish(c, call, code);
    }
}

static void *
run(void *arg)
{
    struct http_client *c = arg;
    must(c->magic == CLIENT_MAGIC);
    while (begin_waiting(c)) {
        int n_running = 0;
        must(curl_multi_perform(c->multi, &n_running) == CURLM_OK);
        finish_done(c);
        must(curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL) == CURLM_OK);
    }
    return NULL;
}

/* ---- life ---- */

enum rc
http_client_new(unsigned connections_max, struct http_client **out, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, RC_INTERNAL, "starting libcurl");
    struct http_client *c = xcalloc(1, sizeof *c);
    c->magic = CLIENT_MAGIC;
    c->multi = curl_multi_init();
    must(c->multi);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections_max);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
    must(pthread_mutex_init(&c->mutex, NULL) == 0);
    int sys = pthread_create(&c->thread, NULL, run, c);
    if (sys != 0) {
        curl_multi_cleanup(c->multi);
        pthread_mutex_destroy(&c->mutex);
        free(c);
        curl_global_cleanup();
        return err_sys(err, RC_IO, sys, "starting the client's thread");
    }
    *out = c;
    return RC_OK;
}

void
http_client_free(struct http_client *c)
{
    if (!c)
        return;
    must(c->magic == CLIENT_MAGIC);
    must(pthread_mutex_lock(&c->mutex) == 0);
    c->is_stopping = true;
    pthread_mutex_unlock(&c->mutex);
    (void)curl_multi_wakeup(c->multi);
    must(pthread_join(c->thread, NULL) == 0);
    for (size_t i = 0; i < c->n_spares; i++)
        curl_easy_cleanup(c->spares[i]);
    curl_multi_cleanup(c->multi);
    pthread_mutex_destroy(&c->mutex);
    c->magic = 0;
    free(c);
    curl_global_cleanup();
}

/* ---- sending ---- */

static CURL *
take_spare(struct http_client *c)
{
    CURL *easy = NULL;
    must(pthread_mutex_lock(&c->mutex) == 0);
    if (c->n_spares > 0)
        easy = c->spares[--c->n_spares];
    pthread_mutex_unlock(&c->mutex);
    if (!easy)
        easy = curl_easy_init();
    must(easy);
    return easy;
}

static bool
enqueue(struct http_client *c, struct call *call)
{
    must(pthread_mutex_lock(&c->mutex) == 0);
    bool is_open = !c->is_stopping;
    if (is_open && c->last)
        c->last->next = call;
    else if (is_open)
        c->first = call;
    if (is_open)
        c->last = call;
    pthread_mutex_unlock(&c->mutex);
    return is_open;
}

enum rc
http_client_send(struct http_client *c, const struct http_call *what, http_client_done *done,
                 void *arg, struct err *err)
{
    must(c->magic == CLIENT_MAGIC && what->method && what->url);
    struct call *call = xcalloc(1, sizeof *call);
    call->magic = CALL_MAGIC;
    call->answer_bytes_max = what->answer_bytes_max;
    call->done = done;
    call->arg = arg;
    call->easy = take_spare(c);
    set_up(call, what);
    if (!enqueue(c, call)) {
        call_free(c, call);
        return err_set(err, RC_STOPPED, "the client is stopping");
    }
    (void)curl_multi_wakeup(c->multi);
    return RC_OK;
}

/* What a waiting caller and the client's thread share. */
struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t is_done_now;
    bool is_done;
    int status;
    struct buf *body;
    struct err err;
};

static void
on_fetched(void *arg, const struct http_answer *answer)
{
    struct waiter *w = arg;
    must(pthread_mutex_lock(&w->mutex) == 0);
    w->status = answer->status;
    if (answer->rc)
        (void)err_set(&w->err, answer->rc, "%s", answer->text);
    else
        buf_put_span(w->body, answer->body);
    w->is_done = true;
    pthread_cond_signal(&w->is_done_now);
    pthread_mutex_unlock(&w->mutex);
}

enum rc
http_client_fetch(struct http_client *c, const struct http_call *call, int *status,
                  struct buf *body, struct err *err)
{
    must(!pthread_equal(c->thread, pthread_self()));
    struct waiter w = {.body = body};
    must(pthread_mutex_init(&w.mutex, NULL) == 0);
    must(pthread_cond_init(&w.is_done_now, NULL) == 0);
    enum rc rc = http_client_send(c, call, on_fetched, &w, err);
    if (rc)
        goto out;
    must(pthread_mutex_lock(&w.mutex) == 0);
    while (!w.is_done)
        pthread_cond_wait(&w.is_done_now, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    rc = w.err.rc;
    if (rc)
        (void)err_set(err, rc, "%s %s: %s", call->method, call->url, w.err.text);
    else
        *status = w.status;
out:
    pthread_cond_destroy(&w.is_done_now);
    pthread_mutex_destroy(&w.mutex);
    return rc;
}
