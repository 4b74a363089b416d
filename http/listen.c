#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/conn.h"
#include "http/server.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_EVENT = 64,
    REFUSED_MAX = 64 /* connections beyond the limit that are told so at the same time */
};

/* Without a free descriptor accepting would fail at once, again and again. */
static const double pause_s = 0.1;

static int
open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static enum rc
bind_and_listen(int fd, const struct sockaddr *address, socklen_t n, const char *text,
                struct err *err)
{
    if (bind(fd, address, n) != 0 || listen(fd, BACKLOG) != 0) {
        int sys = errno;
        return err_sys(err, sys == EADDRINUSE ? RC_CONFLICT : RC_IO, sys, "listening on %s", text);
    }
    return RC_OK;
}

/* ---- unix ---- */

/*
 * Makes room for a new socket: removes one that nobody listens on any more,
 * and nothing else.
 */
static enum rc
remove_stale(const struct sockaddr_un *address, struct err *err)
{
    const char *path = address->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? RC_OK : err_sys(err, RC_IO, errno, "looking at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, RC_CONFLICT, "%s exists and is no socket", path);
    int fd = open_socket(AF_UNIX);
    if (fd < 0)
        return err_sys(err, RC_IO, errno, "making a socket");
    int sys = 0;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        sys = errno;
    close(fd);
    if (sys != ECONNREFUSED)
        return err_set(err, RC_CONFLICT, "somebody listens on %s", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return err_sys(err, RC_IO, errno, "removing the stale socket %s", path);
    return RC_OK;
}

static enum rc
open_unix(const char *path, struct http_listener *li, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof address.sun_path)
        return err_set(err, RC_INVALID, "the path of a unix socket has 1 to %zu bytes",
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, n);
    enum rc rc = remove_stale(&address, err);
    if (rc)
        return rc;
    li->fd = open_socket(AF_UNIX);
    if (li->fd < 0)
        return err_sys(err, RC_IO, errno, "making a socket");
    rc = bind_and_listen(li->fd, (const struct sockaddr *)&address, sizeof address, path, err);
    if (rc)
        return rc;
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_sys(err, RC_IO, errno, "looking at %s", path);
    li->path = xstrdup(path);
    li->device = st.st_dev;
    li->inode = st.st_ino;
    return RC_OK;
}

/* ---- TCP ---- */

/* "host:port", "[v6]:port". */
static bool
split_address(const char *address, char host[256], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || colon[1] == '\0')
        return false;
    for (const char *p = colon + 1; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
    }
    uint64_t number = 0;
    if (!span_u64(span_str(colon + 1), &number) || number > 65535)
        return false;
    size_t n = (size_t)(colon - address);
    bool is_bracketed = address[0] == '[' && address[n - 1] == ']';
    if (is_bracketed) {
        address++;
        n -= 2;
    } else if (memchr(address, ':', n)) {
        return false;
    }
    if (n == 0 || n >= 256)
        return false;
    memcpy(host, address, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

static int
port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0)
        return 0;
    char port[8] = "";
    if (getnameinfo((const struct sockaddr *)&address, n, NULL, 0, port, sizeof port,
                    NI_NUMERICSERV) != 0)
        return 0;
    uint64_t number = 0;
    return span_u64(span_str(port), &number) ? (int)number : 0;
}

static enum rc
open_tcp(const char *text, const struct addrinfo *to, struct http_listener *li, struct err *err)
{
    const int on = 1;
    li->fd = open_socket(to->ai_family);
    if (li->fd < 0)
        return err_sys(err, RC_IO, errno, "making a socket for %s", text);
    (void)setsockopt(li->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* So that [::] and 0.0.0.0 can both be asked for. */
    if (to->ai_family == AF_INET6)
        (void)setsockopt(li->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    enum rc rc = bind_and_listen(li->fd, to->ai_addr, to->ai_addrlen, text, err);
    if (rc == RC_OK)
        li->port = port_of(li->fd);
    return rc;
}

static enum rc
resolve_and_open(const char *address, struct http_listener *li, struct err *err)
{
    char host[256];
    const char *port = NULL;
    if (!split_address(address, host, &port))
        return err_set(err, RC_INVALID,
                       "the address %s is none of HOST:PORT, [IPV6]:PORT and unix:PATH", address);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int no = getaddrinfo(host, port, &hints, &found);
    if (no != 0)
        return err_set(err, RC_INVALID, "the address %s: %s", address, gai_strerror(no));
    enum rc rc = open_tcp(address, found, li, err);
    freeaddrinfo(found);
    return rc;
}

enum rc
http_listener_open(const char *address, struct http_server *server, struct http_listener *out,
                   struct err *err)
{
    struct http_listener li = {.magic = HTTP_LISTENER_MAGIC, .fd = -1, .server = server};
    enum rc rc = strncmp(address, "unix:", 5) == 0 ? open_unix(address + 5, &li, err)
                                                   : resolve_and_open(address, &li, err);
    if (rc == RC_OK)
        *out = li;
    else if (li.fd >= 0)
        close(li.fd);
    return rc;
}

static void
remove_path(struct http_listener *li)
{
    struct stat st;
    if (!li->path)
        return;
    if (lstat(li->path, &st) == 0 && st.st_dev == li->device && st.st_ino == li->inode)
        (void)unlink(li->path);
    free(li->path);
    li->path = NULL;
}

void
http_listener_close(struct http_listener *li, struct ev_loop *ev)
{
    if (li->fd < 0)
        return;
    must(li->magic == HTTP_LISTENER_MAGIC);
    if (ev) {
        ev_io_stop(ev, &li->io);
        ev_timer_stop(ev, &li->pause);
    }
    remove_path(li);
    close(li->fd);
    li->fd = -1;
}

/* ---- accepting ---- */

static void
deal(struct http_server *s, int fd)
{
    struct http_loop *own = s->loops[0];
    size_t before = atomic_fetch_add_explicit(&s->n_conns, 1, memory_order_relaxed);
    bool is_refused = before >= s->options.connections_max;
    if (is_refused)
        metrics_add(own->metrics, M_HTTP_REFUSED, 1);
    if (before >= (size_t)s->options.connections_max + REFUSED_MAX) {
        atomic_fetch_sub_explicit(&s->n_conns, 1, memory_order_relaxed);
        close(fd);
        return;
    }
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct http_conn *c = http_conn_new(fd, is_refused);
    struct http_loop *l = s->loops[s->next_loop];
    s->next_loop = (s->next_loop + 1) % s->n_loops;
    /* A loop that has ended takes none: ours then closes it. */
    if (l == own || !http_loop_post(l, &c->note))
        http_conn_start(c, own);
}

static bool
is_out_of_resources(int sys)
{
    return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM;
}

static void
on_accept(struct ev_loop *ev, struct ev_io *w, int events)
{
    (void)events;
    struct http_listener *li = w->data;
    must(li->magic == HTTP_LISTENER_MAGIC);
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(li->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            deal(li->server, fd);
            continue;
        }
        if (is_out_of_resources(errno)) {
            ev_io_stop(ev, &li->io);
            ev_timer_again(ev, &li->pause);
            return;
        }
        /* EAGAIN ends the row; the others concern one connection that is gone already. */
        if (errno == EAGAIN)
            return;
    }
}

static void
on_pause_end(struct ev_loop *ev, struct ev_timer *w, int events)
{
    (void)events;
    struct http_listener *li = w->data;
    must(li->magic == HTTP_LISTENER_MAGIC);
    ev_timer_stop(ev, w);
    ev_io_start(ev, &li->io);
}

void
http_listener_watch(struct http_listener *li, struct ev_loop *ev)
{
    ev_io_init(&li->io, on_accept, li->fd, EV_READ);
    li->io.data = li;
    ev_timer_init(&li->pause, on_pause_end, 0, pause_s);
    li->pause.data = li;
    ev_io_start(ev, &li->io);
}
