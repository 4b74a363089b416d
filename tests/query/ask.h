/* Searches over a fixture, without HTTP: a query string in, the parsed answer out. */
#ifndef TAILFIN_TESTS_QUERY_ASK_H
#define TAILFIN_TESTS_QUERY_ASK_H

#include "base/json.h"
#include "query/search.h"
#include "tests/query/fixture.h"

struct ask {
    struct fixture *fixture;
    struct qry_options options;
    struct qry_ctx ctx;
    struct arena arena; /* of the last answer */
    struct buf text;    /* its JSON */
    struct json json;   /* the same, parsed */
    struct err err;
    char ids[4096];     /* of its hits or groups: "a b c", groups as "(a b) (c)" */
    int64_t found;
};

void ask_init(struct ask *a, const char *schema_json);
void ask_fini(struct ask *a);
/* An ask on the heap, as the state of a test; ask_teardown frees it. */
struct ask *ask_new(const char *schema_json);
int ask_teardown(void **state);
/* Puts them all; published after every second one, so that there are several segments. */
void ask_put(struct ask *a, const char *const *documents, size_t n);
/* Searches the fixture's collection "c". What it returned is in a until the next call. */
enum rc ask(struct ask *a, const char *query_string);
/* Ends the test unless the search is answered with these ids. */
void ask_expect(struct ask *a, const char *query_string, const char *ids);
/* Ends the test unless it fails with rc. */
void ask_expect_error(struct ask *a, const char *query_string, enum rc rc);

#endif
