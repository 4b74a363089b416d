/*
 * A server that plays as much of Typesense as the sink needs, and every
 * trouble on demand. It is stricter than Typesense: schemas with keys of our
 * own are refused, a document in two requests at a time is remembered.
 */
#ifndef TAILFIN_TESTS_FAKE_TYPESENSE_H
#define TAILFIN_TESTS_FAKE_TYPESENSE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "base/map.h"

enum fake_trouble {
    FAKE_FINE,
    FAKE_SLOW,      /* answers after wait_us */
    FAKE_500,       /* before anything is done */
    FAKE_500_DONE,  /* after everything is done */
    FAKE_503,       /* with Retry-After: 1 */
    FAKE_422,       /* out of resources */
    FAKE_CUT_EARLY, /* the connection ends before the body was read */
    FAKE_CUT_LATE,  /* after everything is done, without an answer */
    FAKE_HALF,      /* half of an import is done, then the connection ends */
    FAKE_NONSENSE,  /* 200 with text that is no JSON */
    FAKE_FEW_LINES, /* 200 with a line too few */
    FAKE_LINE_500,  /* every line fails with code 500 */
    FAKE_HANG,      /* no answer while this lasts */
    FAKE_DOWN,      /* connections are closed at once */
    FAKE_TROUBLE_N
};

struct fake {
    int listener, port;
    pthread_t thread;
    pthread_mutex_t lock;
    atomic_bool is_over;
    /* Under the lock: */
    struct map collections; /* name -> struct fake_collection */
    struct map aliases;     /* name -> char * */
    struct map in_flight;   /* "collection/id" -> how often */
    enum fake_trouble trouble;
    unsigned n_troubles; /* requests it is for; UINT_MAX: all */
    uint64_t wait_us;
    const char *key;     /* that must come with a request */
    const char *refused; /* begin of names of collections that are not taken; NULL: none */
    unsigned n_open;     /* connections */
    unsigned n_imports, n_overlaps, n_schemas, n_patches, n_swaps;
    uint64_t n_documents;          /* taken by imports */
    uint64_t trouble_us, after_us; /* clock_us of the last trouble, of the request behind it */
};

void fts_start(struct fake *f);
void fts_stop(struct fake *f);
/* From now on; n requests with documents (imports, deletions), or all. */
void fts_set(struct fake *f, enum fake_trouble trouble, unsigned n);
/* A plain collection with a document {"id": id}. */
void fts_add(struct fake *f, const char *collection, const char *id);
/* What an alias or a collection has; -1 if there is none. */
int64_t fts_count(struct fake *f, const char *name);
/* The document's text, copied; empty if absent. */
struct span fts_doc(struct fake *f, const char *name, struct span id, struct arena *arena);
/* What an alias names, copied; "" if it is none. */
struct span fts_alias(struct fake *f, const char *name, struct arena *arena);
unsigned fts_n_collections(struct fake *f);
/* As if an operator had dropped it, or a field of it. */
void fts_drop(struct fake *f, const char *name);
void fts_forget_field(struct fake *f, const char *name, const char *field);

#endif
