/* The lease documents: {_id: "writeback", holder, epoch, beat, session, told} in tailfin_lease. */
#include "indexer/lease.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

void
ing_lease_fini(struct ing_lease *l)
{
    if (l->seen)
        bson_destroy(l->seen);
    if (l->session)
        bson_destroy(l->session);
    l->seen = l->session = NULL;
}

static mongoc_collection_t *
lease_collection(struct ing_client *c)
{
    mongoc_collection_t *collection =
        mongoc_client_get_collection(c->client, c->database, "tailfin_lease");
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_collection_set_write_concern(collection, concern);
    mongoc_write_concern_destroy(concern);
    return collection;
}

void
ing_lease_make_name(char out[ING_LEASE_NAME_N])
{
    char host[64] = "", seed[160];
    if (gethostname(host, sizeof host - 1))
        host[0] = 0;
    int n = snprintf(seed, sizeof seed, "%s %d %llu %p", host, (int)getpid(),
                     (unsigned long long)clock_wall_us(), (void *)out);
    struct span text = span_of(seed, (size_t)n);
    snprintf(out, ING_LEASE_NAME_N, "%016llx%016llx", (unsigned long long)hash64(text),
             (unsigned long long)hash64_more(1, text));
}

static bool
is_number(const bson_t *doc, const char *name, int64_t *out)
{
    bson_iter_t at;
    if (!bson_iter_init_find(&at, doc, name) || !BSON_ITER_HOLDS_NUMBER(&at))
        return false;
    *out = bson_iter_as_int64(&at);
    return true;
}

struct look { /* a lease document; all-zero: there is none */
    char holder[ING_LEASE_NAME_N];
    int64_t epoch, beat;
    bool is_there;
};

static enum rc
look(struct ing_lease *l, struct ing_client *c, struct look *out, struct err *err)
{
    mongoc_collection_t *collection = lease_collection(c);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(l->id));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, NULL, NULL);
    const bson_t *doc;
    bson_error_t error;
    enum rc rc = RC_OK;
    *out = (struct look){.is_there = mongoc_cursor_next(cursor, &doc)};
    if (out->is_there) {
        bson_iter_t at;
        if (bson_iter_init_find(&at, doc, "holder") && BSON_ITER_HOLDS_UTF8(&at))
            snprintf(out->holder, sizeof out->holder, "%s", bson_iter_utf8(&at, NULL));
        if (!is_number(doc, "epoch", &out->epoch) || !is_number(doc, "beat", &out->beat))
            out->epoch = out->beat = 0; /* one that is not ours is taken over like a dead one */
        ing_lease_fini(l);
        l->seen = bson_copy(doc);
    } else if (mongoc_cursor_error(cursor, &error)) {
        rc = ing_source_error(&error, "reading the lease", err);
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(filter);
    return rc;
}

/* Updates the document if it is as the filter says. *n: 1 if it was. */
static enum rc
update(struct ing_client *c, const bson_t *filter, const bson_t *change, const bson_t *opts,
       int64_t *n, struct err *err)
{
    bson_error_t error;
    bson_t reply;
    mongoc_collection_t *collection =
        opts && bson_has_field(opts, "sessionId")
            ? mongoc_client_get_collection(c->client, c->database, "tailfin_lease")
            : lease_collection(c);
    enum rc rc = RC_OK;
    *n = 0;
    if (!mongoc_collection_update_one(collection, filter, change, opts, &reply, &error)) {
        rc = ing_source_error(&error, "writing the lease", err);
    } else {
        int64_t n_new = bson_has_field(&reply, "upsertedId");
        if (!is_number(&reply, "matchedCount", n))
            *n = 0;
        *n += n_new;
    }
    bson_destroy(&reply);
    mongoc_collection_destroy(collection);
    return rc;
}

/* ---- transactions that nobody will end ---- */

/*
 * Ends what is open in a session (its lsid). Errors do not matter: the server
 * ends it by itself, after 60 s.
 */
static void
end_session(struct ing_client *c, const bson_t *lsid)
{
    bson_t command = BSON_INITIALIZER, sessions;
    bson_append_array_begin(&command, "killSessions", -1, &sessions);
    bson_append_document(&sessions, "0", -1, lsid);
    bson_append_array_end(&command, &sessions);
    (void)mongoc_client_command_simple(c->client, "admin", &command, NULL, NULL, NULL);
    bson_destroy(&command);
}

/*
 * A holder that died, or sleeps, may have left a transaction that keeps the
 * lease from us and, on MongoDB 4.0, everybody's majority reads and writes
 * waiting. One that is alive loses a bulk, which it tries again.
 */
static void
end_session_seen(struct ing_lease *l, struct ing_client *c)
{
    bson_iter_t at;
    const uint8_t *bytes;
    uint32_t n;
    bson_t lsid;
    if (!l->seen || !bson_iter_init_find(&at, l->seen, "session") || !BSON_ITER_HOLDS_DOCUMENT(&at))
        return;
    bson_iter_document(&at, &n, &bytes);
    if (bson_init_static(&lsid, bytes, n))
        end_session(c, &lsid);
}

static bool
is_session_told(const struct ing_lease *l, const struct ing_client *c)
{
    return l->session && c->session &&
           bson_equal(l->session, mongoc_client_session_get_lsid(c->session));
}

/* The same of our own, from before the client was renewed. */
static void
end_session_before(struct ing_lease *l, struct ing_client *c)
{
    if (!l->session || is_session_told(l, c))
        return;
    end_session(c, l->session);
    bson_destroy(l->session);
    l->session = NULL;
}

/* Takes the lease that was last seen dead or free. */
static enum rc
take(struct ing_lease *l, struct ing_client *c, bool is_there, struct err *err)
{
    bson_t *filter = is_there
                         ? BCON_NEW("_id", BCON_UTF8(l->id), "holder", BCON_UTF8(l->other), "epoch",
                                    BCON_INT64(l->other_epoch), "beat", BCON_INT64(l->other_beat))
                         : BCON_NEW("_id", BCON_UTF8(l->id));
    bson_t *change = is_there ? BCON_NEW("$set", "{", "holder", BCON_UTF8(l->holder), "epoch",
                                         BCON_INT64(l->other_epoch + 1), "beat", BCON_INT64(0), "}",
                                         "$unset", "{", "session", BCON_INT32(1), "}")
                              : BCON_NEW("$setOnInsert", "{", "holder", BCON_UTF8(l->holder),
                                         "epoch", BCON_INT64(1), "beat", BCON_INT64(0), "}");
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(!is_there));
    int64_t n;
    enum rc rc = update(c, filter, change, opts, &n, err);
    /* An upsert may have matched someone who was faster: the next look tells. */
    if (!rc && n == 1 && is_there) {
        l->state = ING_LEASE_HELD;
        l->epoch = l->other_epoch + 1;
        l->was_dead = l->other[0] != 0;
    }
    bson_destroy(opts);
    bson_destroy(change);
    bson_destroy(filter);
    return rc;
}

static enum rc
watch(struct ing_lease *l, struct ing_client *c, struct err *err)
{
    struct look seen;
    enum rc rc = look(l, c, &seen, err);
    uint64_t now_us = clock_boot_us();
    if (rc)
        return rc;
    bool has_moved = strcmp(seen.holder, l->other) != 0 || seen.epoch != l->other_epoch ||
                     seen.beat != l->other_beat;
    if (seen.is_there && strcmp(seen.holder, l->holder) == 0) {
        l->state = ING_LEASE_HELD;
        l->epoch = seen.epoch;
        return RC_OK;
    }
    if (has_moved && l->other_boot_us && seen.holder[0])
        l->state = ING_LEASE_OTHERS;
    bool is_first = !l->other_boot_us;
    if (has_moved || is_first)
        l->other_boot_us = now_us;
    if (seen.holder[0] && (is_first || now_us - l->other_boot_us > l->ttl_us / 3))
        end_session_seen(l, c);
    memcpy(l->other, seen.holder, sizeof l->other);
    l->other_epoch = seen.epoch;
    l->other_beat = seen.beat;
    bool is_free = !seen.holder[0] || strcmp(seen.holder, l->former) == 0;
    if (!seen.is_there || is_free || now_us - l->other_boot_us > l->ttl_us)
        return take(l, c, seen.is_there, err);
    return RC_OK;
}

/* Moves the beat if the lease is still ours; *n is 0 if it was lost. */
static enum rc
set_if_held(struct ing_lease *l, struct ing_client *c, const bson_t *change, const bson_t *opts,
            int64_t *n, struct err *err)
{
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(l->id), "holder", BCON_UTF8(l->holder), "epoch",
                              BCON_INT64(l->epoch));
    enum rc rc = update(c, filter, change, opts, n, err);
    if (!rc && *n == 0) {
        l->state = ING_LEASE_WATCHED;
        l->other_boot_us = l->looked_us = 0;
    }
    bson_destroy(filter);
    return rc;
}

/* Outside of transactions: with what the others are to know. */
static enum rc
tell(struct ing_lease *l, struct ing_client *c, int64_t *n, struct err *err)
{
    bson_t *change = BCON_NEW("$inc", "{", "beat", BCON_INT64(1), "}"), set = BSON_INITIALIZER;
    end_session_before(l, c);
    if (c->session)
        bson_append_document(&set, "session", -1, mongoc_client_session_get_lsid(c->session));
    if (l->told)
        bson_append_document(&set, "told", -1, l->told);
    if (bson_count_keys(&set) > 0)
        bson_append_document(change, "$set", -1, &set);
    enum rc rc = set_if_held(l, c, change, NULL, n, err);
    if (!rc && c->session && !l->session)
        l->session = bson_copy(mongoc_client_session_get_lsid(c->session));
    bson_destroy(&set);
    bson_destroy(change);
    return rc;
}

static enum rc
lost(struct err *err)
{
    return err_set(err, RC_CONFLICT, "another sidecar has the lease now");
}

enum rc
ing_lease_keep(struct ing_lease *l, struct ing_client *c, struct err *err)
{
    uint64_t now_us = clock_boot_us();
    uint64_t look_us = l->ttl_us / 5 < ING_LEASE_LOOK_US ? l->ttl_us / 5 : ING_LEASE_LOOK_US;
    int64_t n;
    enum rc rc = RC_OK;
    if (l->state == ING_LEASE_REFUSED || (l->looked_us && now_us < l->looked_us + look_us))
        return RC_OK;
    if (!l->holder[0])
        ing_lease_make_name(l->holder);
    if (l->state == ING_LEASE_HELD)
        rc = tell(l, c, &n, err);
    /* Twice: a lease that was made just now is seen by the second look. */
    for (int i = 0; i < 2 && !rc && l->state != ING_LEASE_HELD; i++)
        rc = watch(l, c, err);
    if (!rc)
        l->looked_us = now_us;
    return rc;
}

enum rc
ing_lease_prepare(struct ing_lease *l, struct ing_client *c, struct err *err)
{
    int64_t n = 0;
    if (is_session_told(l, c))
        return RC_OK;
    enum rc rc = tell(l, c, &n, err);
    return !rc && n == 0 ? lost(err) : rc;
}

enum rc
ing_lease_beat(struct ing_lease *l, struct ing_client *c, struct err *err)
{
    bson_error_t error;
    bson_t opts = BSON_INITIALIZER;
    int64_t n = 0;
    enum rc rc = RC_OK;
    if (!mongoc_client_session_append(c->session, &opts, &error))
        rc = ing_source_error(&error, "using a session", err);
    bson_t *change = BCON_NEW("$inc", "{", "beat", BCON_INT64(1), "}");
    if (!rc)
        rc = set_if_held(l, c, change, &opts, &n, err);
    if (!rc && n == 0)
        rc = lost(err);
    bson_destroy(change);
    bson_destroy(&opts);
    return rc;
}

void
ing_lease_release(struct ing_lease *l, struct ing_client *c)
{
    struct err err;
    int64_t n;
    if (l->state != ING_LEASE_HELD)
        return;
    bson_t *change = BCON_NEW("$set", "{", "holder", BCON_UTF8(""), "}");
    if (set_if_held(l, c, change, NULL, &n, &err))
        n = 0; /* it dies by itself */
    bson_destroy(change);
    l->state = ING_LEASE_WATCHED;
}
