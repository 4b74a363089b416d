/*
 * A real mongod and a pipeline that feeds an index from it, for tests. One
 * server per test program (server_start in a group set-up); every rig has a
 * database and an index directory of its own.
 */
#ifndef TAILFIN_TESTS_MONGO_RIG_H
#define TAILFIN_TESTS_MONGO_RIG_H

#include <sys/types.h>

#include <mongoc/mongoc.h>

#include "base/fs.h"
#include "base/log.h"

#include "indexer/indexer.h"

struct server {
    char *dir;
    char uri[256]; /* without a database */
};

/* Starts a mongod through scripts/mongod.sh; it ends with this process. Aborts on failure. */
void server_start(struct server *s);
void server_stop(struct server *s);
/* The same as the set-up and the tear-down of a group of tests; the state is the server. */
int server_setup(void **state);
int server_teardown(void **state);
/* The same server goes away and comes back: port and data stay. */
void server_pause(struct server *s);
void server_resume(struct server *s);

struct rig {
    char uri[320];
    char name[64]; /* of the database */
    mongoc_client_t *client;
    mongoc_database_t *db;
    struct arena arena;
    struct sch_profile profile;
    struct log *log;
    struct metrics *metrics;
    char *dir;
    const struct ing_stats_options *stats; /* NULL: none */
    enum ing_writeback writeback;
    uint64_t verify_docs_per_s;
    uint64_t sweep_us;
    const struct ing_sink_options *sink; /* NULL: no Typesense */
    /* While open: */
    struct fs *fs;
    struct idx *idx;
    struct ing_mongo *m;
};

void rig_init(struct rig *r, const struct server *s);
void rig_fini(struct rig *r); /* closes too; drops the database */
/* Opens the index directory and starts the pipeline. */
void rig_open(struct rig *r);
/* Opens and waits until the index has what MongoDB has. False after 60 s of either. */
bool rig_open_settled(struct rig *r);
/* The index alone: for tests that change it behind the pipeline's back. */
void rig_open_index(struct rig *r);
/* The rig is closed. A process of its own opens it, and indexes until it is killed. */
pid_t rig_fork(struct rig *r);
/* The rig is closed. Its next start begins at that time of MongoDB's. */
void rig_set_position(struct rig *r, uint32_t time_s, uint32_t time_i);
/* Stops both as the program does. */
void rig_close(struct rig *r);

/* Waits until everything is complete; false after 60 s. */
bool rig_wait_ready(struct rig *r);
/*
 * Waits until everything written to MongoDB before the call is applied,
 * cascades included, and visible. False after 60 s.
 */
bool rig_settle(struct rig *r);
/* A number member of /admin/status; -1 if absent. */
int64_t rig_status(struct rig *r, const char *member);
/* Whether its text has that part. */
bool rig_status_has(struct rig *r, const char *part);

/* The stored document of that id; empty if it is not in the collection. In the arena. */
struct span rig_doc(struct rig *r, const char *collection, struct span id, struct arena *arena);
/* Live documents; -1 if there is no such collection. */
int64_t rig_count(struct rig *r, const char *collection);
/* How many documents in MongoDB match a filter given as JSON. */
int64_t rig_count_stored(struct rig *r, const char *collection, const char *filter);
/* Waits until it is that many; prints what it is and returns false after 60 s. */
bool rig_await_stored(struct rig *r, const char *collection, const char *filter, int64_t want);
/* Applies and commits what was submitted. */
void rig_commit(struct rig *r);

/* Runs a command given as JSON; aborts on failure. */
void rig_command(struct rig *r, const char *json);

#endif
