/*
 * Clients, sessions and errors of MongoDB. What is read in a session is
 * majority-committed and never older than the events that asked for it.
 */
#include "indexer/source.h"

#include "base/clock.h"

enum { SOCKET_MS = 1500, SOCKET_MS_MAX = 60000 };

static void
default_i32(mongoc_uri_t *uri, const char *option, int32_t value)
{
    if (!mongoc_uri_has_option(uri, option))
        (void)mongoc_uri_set_option_as_int32(uri, option, value); /* fails on unknown names only */
}

enum rc
ing_uri_parse(const char *text, mongoc_uri_t **out, struct err *err)
{
    bson_error_t error = {0};
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text ? text : "", &error);
    if (!uri)
        return err_set(err, RC_INVALID, "the MongoDB URI is not valid: %s", error.message);
    const char *database = mongoc_uri_get_database(uri);
    if (!database || !*database) {
        mongoc_uri_destroy(uri);
        return err_set(err, RC_INVALID, "the MongoDB URI names no database");
    }
    default_i32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 2000);
    default_i32(uri, MONGOC_URI_CONNECTTIMEOUTMS, 2000);
    if (!mongoc_uri_get_appname(uri))
        (void)mongoc_uri_set_appname(uri, "tailfin"); /* fails on long names only */
    *out = uri;
    return RC_OK;
}

enum rc
ing_client_open(struct ing_client *c, const mongoc_uri_t *uri, struct err *err)
{
    bson_error_t error = {0};
    mongoc_uri_t *copy = mongoc_uri_copy(uri);
    c->uri = uri;
    c->socket_ms = c->socket_ms ? c->socket_ms : SOCKET_MS;
    default_i32(copy, MONGOC_URI_SOCKETTIMEOUTMS, c->socket_ms);
    c->client = mongoc_client_new_from_uri_with_error(copy, &error);
    mongoc_uri_destroy(copy);
    if (!c->client)
        return err_set(err, RC_INVALID, "no client for the MongoDB URI: %s", error.message);
    (void)mongoc_client_set_error_api(c->client, MONGOC_ERROR_API_VERSION_2);
    c->session = NULL;
    c->database = mongoc_uri_get_database(uri);
    return RC_OK;
}

enum rc
ing_client_renew(struct ing_client *c, struct err *err)
{
    c->socket_ms = c->socket_ms < SOCKET_MS_MAX / 2 ? c->socket_ms * 2 : SOCKET_MS_MAX;
    ing_client_close(c);
    return ing_client_open(c, c->uri, err);
}

void
ing_client_close(struct ing_client *c)
{
    ing_client_drop_session(c);
    if (c->client)
        mongoc_client_destroy(c->client);
    c->client = NULL;
}

enum rc
ing_client_session(struct ing_client *c, uint32_t time_s, uint32_t time_i, struct err *err)
{
    if (!c->session) {
        bson_error_t error = {0};
        c->session = mongoc_client_start_session(c->client, NULL, &error);
        if (!c->session)
            return ing_source_error(&error, "starting a session", err);
    }
    if (time_s)
        mongoc_client_session_advance_operation_time(c->session, time_s, time_i);
    return RC_OK;
}

void
ing_client_drop_session(struct ing_client *c)
{
    if (c->session)
        mongoc_client_session_destroy(c->session);
    c->session = NULL;
}

enum rc
ing_client_now(struct ing_client *c, uint32_t *time_s, uint32_t *time_i, struct err *err)
{
    enum rc rc = ing_client_session(c, 0, 0, err);
    if (rc)
        return rc;
    bson_error_t error = {0};
    bson_t opts = BSON_INITIALIZER, reply;
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    bool is_ok =
        mongoc_client_session_append(c->session, &opts, &error) &&
        mongoc_client_command_with_opts(c->client, c->database, ping, NULL, &opts, &reply, &error);
    if (is_ok)
        bson_destroy(&reply);
    bson_destroy(&opts);
    bson_destroy(ping);
    if (!is_ok) {
        ing_client_drop_session(c);
        return ing_source_error(&error, "asking for the time", err);
    }
    mongoc_client_session_get_operation_time(c->session, time_s, time_i);
    if (!*time_s)
        return err_set(err, RC_UNREACHABLE,
                       "MongoDB tells no operation time: it is no replica set");
    return RC_OK;
}

enum rc
ing_source_error(const bson_error_t *error, const char *doing, struct err *err)
{
    static const uint32_t lost[] = {
        286,   /* ChangeStreamHistoryLost */
        280,   /* ChangeStreamFatalError */
        136,   /* CappedPositionLost */
        222,   /* CloseChangeStream */
        260,   /* InvalidResumeToken */
        40576, /* 3.6 and 4.0: the resume point may no longer be in the oplog */
        40585, /* 3.6 and 4.0: the resume token was not found */
        50811, /* 4.0: the same, from shards */
        10334, /* BSONObjectTooLarge: this event can never be delivered */
    };
    enum rc rc = RC_UNREACHABLE;
    for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
        if (error->domain == MONGOC_ERROR_SERVER && error->code == lost[i])
            rc = RC_HISTORY_LOST;
    }
    err_set(err, rc, "%s: %s (code %u)", doing, error->message, error->code);
    if (err)
        err->sys = (int)error->code;
    return rc;
}

uint64_t
ing_backoff_us(unsigned n)
{
    uint64_t wait = n < 7 ? 100000ull << n : 10000000;
    uint64_t noise = clock_us() * 0x9e3779b97f4a7c15ull >> 33;
    return wait / 2 + noise % (wait / 2);
}
