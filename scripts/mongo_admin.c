/*
 * Runs one command against a MongoDB server and prints the reply as JSON:
 * mongo_admin URI DATABASE JSON. Exit status 0 if the server said ok. With
 * JSON `-` it runs the commands of standard input, one a line, and prints a
 * line for each: the reply, or {"ok": 0, "errmsg": ...}. With
 * DATABASE `--wait-primary` it waits until the server takes writes (30 s at
 * most). Compiled by mongod.sh, so that no mongo shell is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mongoc/mongoc.h>

static int
run(mongoc_client_t *client, const char *database, const char *json)
{
    bson_error_t error = {0};
    bson_t *command = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (!command) {
        fprintf(stderr, "mongo_admin: %s\n", error.message);
        return 2;
    }
    bson_t reply = BSON_INITIALIZER;
    bson_destroy(&reply);
    bool is_ok =
        mongoc_client_command_simple(client, database, command, NULL, &reply, &error);
    char *text = bson_as_relaxed_extended_json(&reply, NULL);
    printf("%s\n", text ? text : "");
    if (!is_ok)
        fprintf(stderr, "mongo_admin: %s\n", error.message);
    bson_free(text);
    bson_destroy(&reply);
    bson_destroy(command);
    return is_ok ? 0 : 1;
}

static int
run_lines(mongoc_client_t *client, const char *database)
{
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        bson_error_t error = {0};
        bson_t reply = BSON_INITIALIZER;
        bson_t *command = bson_new_from_json((const uint8_t *)line, -1, &error);
        if (command) {
            bson_destroy(&reply);
            mongoc_client_command_simple(client, database, command, NULL, &reply, &error);
        }
        if (bson_empty(&reply))
            BCON_APPEND(&reply, "ok", BCON_INT32(0), "errmsg", BCON_UTF8(error.message));
        char *text = bson_as_relaxed_extended_json(&reply, NULL);
        printf("%s\n", text ? text : "{\"ok\": 0}");
        fflush(stdout);
        bson_free(text);
        bson_destroy(&reply);
        bson_destroy(command);
    }
    free(line);
    return 0;
}

static int
wait_primary(mongoc_client_t *client)
{
    bson_t *command = BCON_NEW("isMaster", BCON_INT32(1));
    int status = 1;
    for (int i = 0; i < 300 && status != 0; i++) {
        bson_t reply;
        bson_iter_t at;
        if (mongoc_client_command_simple(client, "admin", command, NULL, &reply, NULL) &&
            bson_iter_init_find(&at, &reply, "ismaster") && bson_iter_as_bool(&at))
            status = 0;
        else
            usleep(100000);
        bson_destroy(&reply);
    }
    bson_destroy(command);
    return status;
}

int
main(int argc, char **argv)
{
    if (argc < 3 || (argc < 4 && strcmp(argv[2], "--wait-primary") != 0)) {
        fprintf(stderr, "usage: mongo_admin URI DATABASE JSON | URI --wait-primary\n");
        return 2;
    }
    mongoc_init();
    int status = 2;
    mongoc_client_t *client = mongoc_client_new(argv[1]);
    if (client && argc < 4)
        status = wait_primary(client);
    else if (client && strcmp(argv[3], "-") == 0)
        status = run_lines(client, argv[2]);
    else if (client)
        status = run(client, argv[2], argv[3]);
    else
        fprintf(stderr, "mongo_admin: no valid URI\n");
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return status;
}
