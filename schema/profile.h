/*
 * Profiles: the collections of an application as data files, with the mapping
 * from its MongoDB documents. Built in: "7tv". Files in the program come from
 * schema/profiles by cmake/profiles.cmake.
 */
#ifndef TAILFIN_SCHEMA_PROFILE_H
#define TAILFIN_SCHEMA_PROFILE_H

#include "schema/schema.h"

struct sch_profile_file { /* the table's end has name NULL */
    const char *name;     /* "7tv/emotes.json" */
    const char *bytes;
    size_t n;
};

extern const struct sch_profile_file sch_profile_files[];

struct sch_profile {
    struct span name;
    struct sch_collection
        *collections; /* in the order they are to be scanned: dependencies first */
    uint32_t n_collections;
};

/*
 * Loads a built-in profile by its folder's name, or a folder of JSON files if
 * name contains a '/'. Every file is one collection: the keys of sch_parse
 * plus "source" and each field's "from" (schema/README.md documents them).
 * RC_ABSENT, RC_INVALID naming the file.
 */
MUST_USE enum rc sch_profile_load(struct span name, struct arena *arena, struct sch_profile *out,
                                  struct err *err);

#endif
