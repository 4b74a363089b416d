#include "http/exchange.h"

#include <strings.h>

#include "http/conn.h"
#include "http/stream.h"

/* A recycled exchange gives memory beyond these back. */
enum { ARENA_KEPT_MAX = 64 * 1024, BODY_KEPT_MAX = 64 * 1024 };

struct http_exchange *
http_exchange_new(struct http_conn *c)
{
    struct http_loop *l = c->loop;
    struct http_exchange *x = l->spare;
    if (x) {
        l->spare = x->next;
        l->n_spare--;
    } else {
        x = xcalloc(1, sizeof *x);
        x->magic = HTTP_EXCHANGE_MAGIC;
        x->loop = l;
        x->note.object = x;
    }
    x->next = NULL;
    x->conn = c;
    x->id = l->n_exchanges++ * l->options->n_threads + l->number;
    x->begin_us = c->begin_us;
    return x;
}

void
http_exchange_free(struct http_exchange *x)
{
    if (!x)
        return;
    must(x->magic == HTTP_EXCHANGE_MAGIC);
    x->magic = 0;
    http_stream_free(x->stream);
    arena_fini(&x->holder.arena);
    buf_fini(&x->holder.extra);
    buf_fini(&x->holder.body);
    buf_fini(&x->body);
    buf_fini(&x->head);
    buf_fini(&x->sending);
    free(x);
}

void
http_exchange_recycle(struct http_exchange *x)
{
    struct http_loop *l = x->loop;
    if (l->n_spare >= HTTP_SPARE_MAX || x->stream) {
        http_exchange_free(x);
        return;
    }
    if (x->holder.arena.total_bytes > ARENA_KEPT_MAX)
        arena_fini(&x->holder.arena);
    else
        arena_reset(&x->holder.arena);
    if (x->body.cap > BODY_KEPT_MAX)
        buf_fini(&x->body);
    buf_fini(&x->holder.body);
    buf_fini(&x->sending);
    buf_clear(&x->holder.extra);
    buf_clear(&x->body);
    buf_clear(&x->head);
    x->holder.status = 0;
    x->holder.content_type = NULL;
    x->holder.is_gzipped = x->holder.is_varying = false;
    x->holder.is_streamed = x->holder.is_cut = false;
    x->request = (struct http_request){0};
    x->fields = NULL;
    x->n_fields = 0;
    x->frame = (struct http_frame){0};
    x->may_gzip = false;
    x->conn = NULL;
    x->n_sent = 0;
    x->is_handed = x->is_final = x->has_head = x->is_stream_known = false;
    x->is_keep_alive = x->is_last = false;
    x->next = l->spare;
    l->spare = x;
    l->n_spare++;
}

void
http_exchange_signal(struct http_exchange *x, enum http_signal signal)
{
    struct http_loop *l = x->loop;
    /* Whoever sets the first bit posts; the loop clears all before it acts. */
    if (atomic_fetch_or_explicit(&x->signals, signal, memory_order_acq_rel) != 0)
        return;
    if (http_loop_post(l, &x->note))
        return;
    if (signal == HTTP_SIGNAL_FINAL) {
        http_exchange_free(x);
        http_loop_release(l);
        return;
    }
    atomic_store_explicit(&x->signals, 0, memory_order_release);
    if (x->stream)
        http_stream_cut(x->stream);
}

struct span
http_field_find(const struct http_field *fields, size_t n, const char *name)
{
    size_t name_n = strlen(name);
    for (size_t i = n; i > 0; i--) {
        const struct http_field *f = &fields[i - 1];
        if (f->name.n == name_n && strncasecmp(f->name.p, name, name_n) == 0)
            return f->value;
    }
    return (struct span){0};
}

const struct http_request *
http_exchange_request(const struct http_exchange *x)
{
    must(x->magic == HTTP_EXCHANGE_MAGIC);
    return &x->request;
}

struct span
http_exchange_header(const struct http_exchange *x, const char *name)
{
    return http_field_find(x->fields, x->n_fields, name);
}

struct arena *
http_exchange_arena(struct http_exchange *x)
{
    must(x->magic == HTTP_EXCHANGE_MAGIC);
    return &x->holder.arena;
}

unsigned
http_exchange_loop(const struct http_exchange *x)
{
    return x->loop->number;
}

uint64_t
http_exchange_id(const struct http_exchange *x)
{
    return x->id;
}

uint64_t
http_exchange_begin_us(const struct http_exchange *x)
{
    return x->begin_us;
}
