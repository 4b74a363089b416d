/* A mongod of our own and a pipeline on it. */
#include "tests/indexer/mongo_rig.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"

#include "indexer/resume.h"
#include "tests/support/scratch.h"

/* ---- the server ---- */

static void
run_script(const struct server *s, const char *verb, char *line, size_t n)
{
    char command[512];
    snprintf(command, sizeof command, "TAILFIN_OWNER_PID=%d scripts/mongod.sh %s '%s'",
             (int)getpid(), verb, s->dir);
    FILE *f = popen(command, "r");
    must(f);
    if (n && fgets(line, (int)n, f))
        line[strcspn(line, "\n")] = 0;
    must(pclose(f) == 0);
}

void
server_start(struct server *s)
{
    s->dir = scratch_new();
    run_script(s, "start", s->uri, sizeof s->uri);
    must(strncmp(s->uri, "mongodb://", 10) == 0);
}

void
server_stop(struct server *s)
{
    run_script(s, "stop", NULL, 0);
    scratch_free(s->dir);
    *s = (struct server){0};
}

int
server_setup(void **state)
{
    struct server *s = xcalloc(1, sizeof *s);
    server_start(s);
    *state = s;
    return 0;
}

int
server_teardown(void **state)
{
    server_stop(*state);
    free(*state);
    return 0;
}

static void
signal_server(const struct server *s, int number)
{
    char path[512];
    int pid = 0;
    snprintf(path, sizeof path, "%s/mongod.pid", s->dir);
    FILE *f = fopen(path, "re");
    must(f && fscanf(f, "%d", &pid) == 1 && pid > 1);
    fclose(f);
    must(kill(pid, number) == 0);
}

void
server_pause(struct server *s)
{
    signal_server(s, SIGSTOP);
}

void
server_resume(struct server *s)
{
    signal_server(s, SIGCONT);
}

/* ---- the rig ---- */

void
rig_init(struct rig *r, const struct server *s)
{
    *r = (struct rig){.sweep_us = 60000000};
    struct err err;
    snprintf(r->name, sizeof r->name, "rig%llx", (unsigned long long)clock_wall_us());
    const char *slash = strrchr(s->uri, '/');
    snprintf(r->uri, sizeof r->uri, "%.*s/%s%s", (int)(slash - s->uri), s->uri, r->name, slash + 1);
    mongoc_init();
    r->client = mongoc_client_new(r->uri);
    must(r->client);
    r->db = mongoc_client_get_database(r->client, r->name);
    must(sch_profile_load(SPAN_LIT("7tv"), &r->arena, &r->profile, &err) == RC_OK);
    const char *verbose = getenv("TAILFIN_TEST_LOG");
    r->log = log_new(stderr, verbose ? LOG_DEBUG : LOG_ERROR);
    r->metrics = metrics_new();
    r->dir = scratch_new();
}

void
rig_open_index(struct rig *r)
{
    struct err err = {0};
    enum rc rc = fs_open_host(r->dir, &r->fs, &err);
    struct idx_options idx_options = {.fs = r->fs,
                                      .refresh_us = 20000,
                                      .commit_us = 200000,
                                      .ram_bytes_max = 64 << 20,
                                      .n_merge_threads = 1,
                                      .metrics = r->metrics};
    if (!rc)
        rc = idx_open(&idx_options, &r->idx, &err);
    if (rc)
        fprintf(stderr, "rig_open_index: %s\n", err.text);
    must(rc == RC_OK);
}

void
rig_open(struct rig *r)
{
    struct err err = {0};
    rig_open_index(r);
    struct ing_mongo_options o;
    ing_mongo_options_init(&o);
    o.idx = r->idx;
    o.uri = r->uri;
    o.stats = r->stats;
    o.profile = &r->profile;
    o.writeback = r->writeback;
    o.verify_docs_per_s = r->verify_docs_per_s;
    o.sweep_us = r->sweep_us;
    o.sink = r->sink;
    o.metrics = r->metrics;
    o.log = r->log;
    enum rc rc = ing_mongo_start(&o, &r->m, &err);
    if (rc)
        fprintf(stderr, "rig_open: %s\n", err.text);
    must(rc == RC_OK);
}

bool
rig_open_settled(struct rig *r)
{
    rig_open(r);
    return rig_wait_ready(r) && rig_settle(r);
}

pid_t
rig_fork(struct rig *r)
{
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    rig_open(r);
    for (;;)
        pause();
}

void
rig_close(struct rig *r)
{
    struct err err = {0};
    if (!r->idx)
        return;
    ing_mongo_stop(r->m);
    if (idx_close(r->idx, &err))
        fprintf(stderr, "rig_close: %s\n", err.text);
    fs_close(r->fs);
    r->m = NULL;
    r->idx = NULL;
    r->fs = NULL;
}

void
rig_set_position(struct rig *r, uint32_t time_s, uint32_t time_i)
{
    struct err err;
    struct arena arena = {0};
    struct ing_resume resume;
    struct buf text = {0};
    rig_open_index(r);
    must(ing_resume_read(idx_state(r->idx, SPAN_LIT("mongo"), &arena), &resume, &err) == RC_OK);
    buf_clear(&resume.position.token);
    resume.position.time_s = time_s;
    resume.position.time_i = time_i;
    ing_resume_write(&resume, &text);
    struct idx_batch *b = idx_batch_new();
    idx_batch_state(b, SPAN_LIT("mongo"), arena_dup(idx_batch_arena(b), buf_span(&text)));
    uint64_t ticket = idx_submit(r->idx, &b);
    must(ticket && idx_wait(r->idx, ticket, IDX_DURABLE, 10000000) == RC_OK);
    buf_fini(&text);
    ing_resume_fini(&resume);
    arena_fini(&arena);
    rig_close(r);
}

void
rig_fini(struct rig *r)
{
    rig_close(r);
    (void)mongoc_database_drop(r->db, NULL); /* the server ends soon anyway */
    mongoc_database_destroy(r->db);
    mongoc_client_destroy(r->client);
    log_free(r->log);
    metrics_free(r->metrics);
    arena_fini(&r->arena);
    scratch_free(r->dir);
}

/* ---- waiting ---- */

bool
rig_wait_ready(struct rig *r)
{
    uint64_t until_us = clock_us() + 60000000;
    while (!ing_mongo_is_ready(r->m) && clock_us() < until_us)
        clock_sleep_us(5000);
    return ing_mongo_is_ready(r->m);
}

int64_t
rig_status(struct rig *r, const char *member)
{
    struct buf text = {0};
    struct arena arena = {0};
    struct json json;
    int64_t value = -1;
    buf_putc(&text, '{');
    ing_mongo_write_status(r->m, &text);
    buf_putc(&text, '}');
    struct err err = {0};
    if (json_parse(buf_span(&text), &arena, &json, &err)) {
        fprintf(stderr, "status is no JSON (%s): %.*s\n", err.text, SPAN_ARG(buf_span(&text)));
        abort();
    }
    const struct json *v = json_get(&json, member);
    if (v && v->type == JSON_INT)
        value = v->i64;
    arena_fini(&arena);
    buf_fini(&text);
    return value;
}

bool
rig_status_has(struct rig *r, const char *part)
{
    struct buf text = {0};
    ing_mongo_write_status(r->m, &text);
    buf_putc(&text, 0);
    bool has = strstr(text.p, part) != NULL;
    buf_fini(&text);
    return has;
}

/* A write that the index ignores, whose event passes behind all others. */
static void
write_marker(struct rig *r, uint32_t *time_s, uint32_t *time_i)
{
    bson_error_t error;
    bson_t opts = BSON_INITIALIZER, doc = BSON_INITIALIZER;
    mongoc_client_session_t *session = mongoc_client_start_session(r->client, NULL, &error);
    must(session && mongoc_client_session_append(session, &opts, &error));
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, "marker");
    must(mongoc_collection_insert_one(c, &doc, &opts, NULL, &error));
    mongoc_client_session_get_operation_time(session, time_s, time_i);
    mongoc_collection_destroy(c);
    mongoc_client_session_destroy(session);
    bson_destroy(&opts);
    bson_destroy(&doc);
}

bool
rig_settle(struct rig *r)
{
    uint32_t time_s = 0, time_i = 0;
    uint64_t until_us = clock_us() + 60000000;
    write_marker(r, &time_s, &time_i);
    for (bool is_done = false; !is_done;) {
        int64_t s = rig_status(r, "position_s"), i = rig_status(r, "position_i");
        is_done = (s > time_s || (s == time_s && i >= time_i)) && rig_status(r, "cascades") == 0;
        if (clock_us() > until_us)
            return false;
        if (!is_done)
            clock_sleep_us(2000);
    }
    struct idx_batch *b = idx_batch_new();
    uint64_t ticket = idx_submit(r->idx, &b);
    return ticket && idx_wait(r->idx, ticket, IDX_VISIBLE, 10000000) == RC_OK;
}

/* ---- looking ---- */

struct span
rig_doc(struct rig *r, const char *collection, struct span id, struct arena *arena)
{
    struct span out = {0}, json;
    struct idx_reader *reader = idx_reader_new(r->idx);
    struct idx_doc_reader *docs = idx_doc_reader_new();
    const struct idx_collection *c =
        idx_snapshot_find(idx_reader_begin(reader), span_str(collection));
    uint32_t view, doc;
    if (c && idx_collection_find(c, id, &view, &doc)) {
        must(idx_doc_reader_get(docs, c->views[view].segment, doc, &json, NULL) == RC_OK);
        out = arena_dup(arena, json);
    }
    idx_doc_reader_free(docs);
    idx_reader_end(reader);
    idx_reader_free(reader);
    return out;
}

int64_t
rig_count(struct rig *r, const char *collection)
{
    struct idx_reader *reader = idx_reader_new(r->idx);
    const struct idx_collection *c =
        idx_snapshot_find(idx_reader_begin(reader), span_str(collection));
    int64_t n = c ? (int64_t)c->n_docs : -1;
    idx_reader_end(reader);
    idx_reader_free(reader);
    return n;
}

int64_t
rig_count_stored(struct rig *r, const char *collection, const char *filter)
{
    bson_error_t error;
    bson_t *query = bson_new_from_json((const uint8_t *)filter, -1, &error);
    must(query);
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, collection);
    int64_t n = mongoc_collection_count_documents(c, query, NULL, NULL, NULL, &error);
    must(n >= 0);
    mongoc_collection_destroy(c);
    bson_destroy(query);
    return n;
}

bool
rig_await_stored(struct rig *r, const char *collection, const char *filter, int64_t want)
{
    uint64_t until_us = clock_us() + 60000000; /* enough for an emulated server, too */
    int64_t n;
    while ((n = rig_count_stored(r, collection, filter)) != want && clock_us() < until_us)
        clock_sleep_us(20000);
    if (n != want)
        printf("%s %s: %lld instead of %lld\n", collection, filter, (long long)n, (long long)want);
    return n == want;
}

void
rig_commit(struct rig *r)
{
    struct idx_batch *b = idx_batch_new();
    uint64_t ticket = idx_submit(r->idx, &b);
    must(ticket && idx_wait(r->idx, ticket, IDX_DURABLE, 20000000) == RC_OK);
}

void
rig_command(struct rig *r, const char *json)
{
    bson_error_t error = {0};
    bson_t *command = bson_new_from_json((const uint8_t *)json, -1, &error);
    bool is_ok = command && mongoc_database_command_simple(r->db, command, NULL, NULL, &error);
    if (!is_ok)
        fprintf(stderr, "rig_command %s: %s\n", json, error.message);
    must(is_ok);
    bson_destroy(command);
}
