/* Listening sockets, and the dealing of what they accept. */
#ifndef TAILFIN_HTTP_LISTEN_H
#define TAILFIN_HTTP_LISTEN_H

#include <stdint.h>

#include <ev.h>

#include "base/err.h"

struct http_loop;
struct http_server;

enum { HTTP_LISTENER_MAGIC = 0x484c5354 };

struct http_listener {
    unsigned magic;
    int fd; /* -1: closed */
    int port;
    char *path;             /* unix socket to unlink at the end; NULL: TCP */
    uint64_t device, inode; /* of path, so that no other's socket is unlinked */
    struct http_server *server;
    struct ev_io io;
    struct ev_timer pause; /* after running out of descriptors */
};

/* Binds and listens. RC_CONFLICT, RC_INVALID, RC_IO. */
MUST_USE enum rc http_listener_open(const char *address, struct http_server *server,
                                    struct http_listener *out, struct err *err);
/* Stops watching if ev is not NULL, closes, unlinks. Closed ones allowed. */
void http_listener_close(struct http_listener *li, struct ev_loop *ev);
/* Begins to accept in the loop, whose thread is not running yet or is the caller. */
void http_listener_watch(struct http_listener *li, struct ev_loop *ev);

#endif
