/* What the two files of the fake server share. */
#ifndef TAILFIN_TESTS_FAKE_PARTS_H
#define TAILFIN_TESTS_FAKE_PARTS_H

#include "tests/indexer/fake_typesense.h"

struct fake_collection {
    struct map documents; /* id -> char * */
    struct map fields;    /* name -> char * of its type */
};

struct request {
    char method[8];
    struct span path, query; /* decoded path; raw query */
    struct span body;
    bool has_key;
};

struct conn {
    struct fake *f;
    int fd;
    struct buf in;
    struct arena arena; /* of a request */
    struct buf out;     /* body of the answer */
    int status;
};

/* ---- fake_routes.c; the lock is held ---- */

/* Answers the request into c->out and c->status; with is_half only the first half of an import. */
void fts_route(struct conn *c, const struct request *r, bool is_half);
/* Counts ids that another request is about at this moment. */
void fts_fly(struct conn *c, struct span collection, struct span body, bool is_begin);
void fts_say(struct conn *c, int status, const char *text);
void fts_free_all(struct fake *f);

#endif
