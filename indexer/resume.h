/*
 * What a restart needs to know, as it is stored with every commit of the
 * index: the stream's position, each collection's generations and scan, the
 * cascades that are not finished. Encoded as one BSON document under the
 * state name "mongo". Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_RESUME_H
#define TAILFIN_INDEXER_RESUME_H

#include "base/err.h"

#include "indexer/dirty.h"

enum { ING_ORIGIN_N = 16 };

struct ing_origin { /* the MongoDB collection that a generation was made from */
    bool is_known;
    unsigned char uuid[ING_ORIGIN_N];
};

struct ing_resume_feed {
    char name[128];
    uint32_t live, aside;  /* generations; 0: none */
    uint64_t live_print, aside_print; /* fingerprints of the mapping they were made with */
    bool is_scanning;      /* aside, or else live, is not fully scanned */
    uint64_t n_scanned;    /* documents, for the progress */
    struct buf at;         /* BSON bytes of {"_id": last one scanned}; empty: from the start */
    struct ing_origin origin;
};

enum ing_cascade_kind {
    ING_CASCADE_EDGE, /* key: the edge's from node */
    ING_CASCADE_ROLE, /* key: the role's node */
    ING_CASCADE_SET,  /* key: the set's id */
    ING_CASCADE_KIND_N
};

/* Documents to derive anew. Recorded with the change that asks for it. */
struct ing_cascade {
    enum ing_cascade_kind kind;
    struct buf key;
    struct buf at; /* the last user id done; empty: none yet */
    /* Not stored: */
    uint32_t since_s;      /* all changes up to this cluster time were there before; 0: unknown */
    bool is_touched;       /* documents that show the edge were asked for */
    bool is_collected;     /* ids holds the users behind `at`, sorted, distinct */
    struct arena arena;
    struct span *ids;
    size_t n_ids, cap_ids, i_ids; /* those before i_ids are asked for in this round */
};

struct ing_resume {
    struct ing_position position;
    uint32_t read_s, read_i; /* reads must not be older; not stored: events are applied again */
    struct ing_resume_feed *feeds;
    size_t n_feeds, cap_feeds;
    struct ing_cascade *cascades; /* in the order they came in */
    size_t n_cascades, cap_cascades;
};

void ing_resume_fini(struct ing_resume *r);
/* Appends the encoding. */
void ing_resume_write(const struct ing_resume *r, struct buf *out);
/* Empty text: an empty state. RC_CORRUPT if it is none of ours; *out is empty then. */
MUST_USE enum rc ing_resume_read(struct span text, struct ing_resume *out, struct err *err);

/* The feed of that name, added if absent. Valid until the next call. */
struct ing_resume_feed *ing_resume_feed(struct ing_resume *r, struct span name);
/* Records a cascade; one of the same kind and key starts over. */
void ing_resume_cascade(struct ing_resume *r, enum ing_cascade_kind kind, struct span key);
void ing_resume_cascade_remove(struct ing_resume *r, size_t i);
/* All changes up to this cluster time are applied with all that follows from them; 0: unknown. */
uint32_t ing_resume_whole_s(const struct ing_resume *r);

/* The "_data" text of a resume token's BSON bytes; empty if it has none. */
struct span ing_token_data(struct span token);

#endif
