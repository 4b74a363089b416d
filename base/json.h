/*
 * JSON (RFC 8259): a parser into an arena, and functions that append to a
 * buffer. Parsing is by libyajl, in json.c only. Numbers keep their text.
 */
#ifndef TAILFIN_BASE_JSON_H
#define TAILFIN_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_member;

struct json {
    enum json_type type;
    uint32_t n; /* elements of an array, members of an object */
    union {
        bool boolean;
        struct {
            struct span text; /* of a number, as it was written */
            union {
                int64_t i64;   /* JSON_INT: no fraction, no exponent, fits */
                double number; /* JSON_DOUBLE: all others; integers beyond int64 too */
            };
        };
        struct span string;          /* decoded, UTF-8 */
        struct json *items;          /* array: n values in a row */
        struct json_member *members; /* object: n, in the order of the text; a repeated name keeps
                                        its first place and its last value */
    };
};

struct json_member {
    struct span name;
    struct json value;
};

enum { JSON_DEPTH_MAX = 64 };

/*
 * Parses one value; blanks around it are allowed, anything else behind it is
 * an error. Invalid UTF-8 in a string is an error. *out and all it points to
 * live in the arena; text may be freed after. RC_INVALID with the offset and
 * reason in *err; RC_LIMIT beyond JSON_DEPTH_MAX.
 * Cost: linear.
 */
MUST_USE enum rc json_parse(struct span text, struct arena *arena, struct json *out,
                            struct err *err);

/* The member of an object; NULL if absent or v is no object (v may be NULL). */
const struct json *json_get(const struct json *v, const char *name);
const struct json *json_get_span(const struct json *v, struct span name);
/* The member's string; fallback if absent or no string. */
struct span json_get_str(const struct json *v, const char *name, struct span fallback);
/* Any number as a double; false if v is NULL or none. */
bool json_number(const struct json *v, double *out);

/* ---- writing: valid JSON texts, no blanks ---- */

/* With quotes; invalid bytes become U+FFFD, valid Unicode is not escaped. */
void json_put_str(struct buf *out, struct span utf8);
void json_put_i64(struct buf *out, int64_t v);
void json_put_u64(struct buf *out, uint64_t v);
/*
 * The shortest text that reads back as v: with a ".0" for whole numbers, with
 * an exponent ("1e+15", "1e-05") from 1e15 on and below 1e-4; null for NaN and
 * infinity.
 */
void json_put_double(struct buf *out, double v);
/* The same with the shortest text that reads back as the float. */
void json_put_float(struct buf *out, float v);
/*
 * v as text; object members in byte order of their names if is_sorted. Numbers
 * as the functions above write them; whole ones up to the largest uint64 keep
 * their digits. v is nested at most JSON_DEPTH_MAX deep.
 */
void json_put(struct buf *out, const struct json *v, bool is_sorted);
/* `"name":` with a comma before it unless the last byte is '{' or '['. */
void json_put_name(struct buf *out, const char *name);
/* A comma unless the last byte is '{', '[' or the buffer is empty. */
void json_put_comma(struct buf *out);

#endif
