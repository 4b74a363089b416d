#include "script.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"

enum { PIECE = 4096 };

/* Reads up to a header's end. False if the connection ended. */
static bool
read_request(struct script *s, int fd)
{
    buf_clear(&s->last);
    for (;;) {
        char c;
        if (recv(fd, &c, 1, 0) != 1)
            return false;
        buf_putc(&s->last, c);
        if (s->last.n >= 4 && memcmp(s->last.p + s->last.n - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
}

static void
send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void
answer(int fd, const struct script_step *step)
{
    char piece[PIECE];
    memset(piece, 'b', sizeof piece);
    clock_sleep_us((uint64_t)step->wait_ms * 1000);
    if (step->head)
        send_all(fd, step->head, strlen(step->head));
    for (size_t left = step->body_n; left > 0;) {
        size_t n = left < PIECE ? left : PIECE;
        send_all(fd, piece, n);
        left -= n;
    }
}

static void
serve(struct script *s, int fd)
{
    while (read_request(s, fd)) {
        uint64_t i = atomic_fetch_add(&s->n_requests, 1);
        const struct script_step *step = &s->steps[i < s->n_steps ? i : s->n_steps - 1];
        answer(fd, step);
        if (step->closes)
            return;
    }
}

static void *
run(void *arg)
{
    struct script *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        atomic_fetch_add(&s->n_connections, 1);
        serve(s, fd);
        close(fd);
    }
}

void
script_start(struct script *s, const struct script_step *steps, size_t n)
{
    memset(s, 0, sizeof *s);
    s->steps = steps;
    s->n_steps = n;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t to_n = sizeof to;
    assert_int_equal(bind(s->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&to, &to_n), 0);
    s->port = ntohs(to.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

void
script_stop(struct script *s)
{
    shutdown(s->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    close(s->fd);
}

void
script_fini(struct script *s)
{
    buf_fini(&s->last);
}
