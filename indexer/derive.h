/* What derive.c and derive_event.c share. Private to them. */
#ifndef TAILFIN_INDEXER_DERIVE_H
#define TAILFIN_INDEXER_DERIVE_H

#include "indexer/mapping_parts.h"

/* "<prefix>:<ULID>" in the arena; empty if the value is no UUID. */
struct span ing_prefixed_id(struct ing_run *run, const char *prefix, const bson_iter_t *id);

/* The paths of the event derivations, in the order of enum slot in derive_event.c. */
#define ING_EVENT_PATHS                                                                            \
    "data.kind", "data.target_id", "data.user_id", "data.ticket_id", "data.emote_id",              \
        "data.data.kind", "data.data.data"

void ing_derive_event_action(struct ing_run *run, const struct ing_rule *rule,
                             struct ing_values *out);
void ing_derive_event_related(struct ing_run *run, const struct ing_rule *rule,
                              struct ing_values *out);
void ing_derive_event_target(struct ing_run *run, const struct ing_rule *rule,
                             struct ing_values *out);

#endif
