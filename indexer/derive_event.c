/*
 * Stored events: what happened (action), to what (target), and what else it
 * touches (related), from two nested tagged unions. The tables are the data
 * model's; a row of outer kinds says how the target is named and which sibling
 * is related to all of its events, a row of actions what one event adds.
 */
#include "indexer/derive.h"

#include "base/ulid.h"

enum slot { KIND, TARGET_ID, USER_ID, TICKET_ID, EMOTE_ID, ACTION_KIND, ACTION_DATA, NO_SLOT };

struct outer_row {
    const char *kind;  /* also the target's prefix but for user_editor */
    enum slot related; /* a sibling of the target */
    const char *related_prefix;
};

static const struct outer_row outers[] = {
    {"badge", NO_SLOT, NULL},
    {"emote", NO_SLOT, NULL},
    {"emote_moderation_request", EMOTE_ID, "emote"},
    {"emote_set", NO_SLOT, NULL},
    {"paint", NO_SLOT, NULL},
    {"role", NO_SLOT, NULL},
    {"ticket", NO_SLOT, NULL},
    {"ticket_message", TICKET_ID, "ticket"},
    {"user", NO_SLOT, NULL},
    {"user_ban", USER_ID, "user"},
    {"user_editor", NO_SLOT, NULL},
    {"user_profile_picture", USER_ID, "user"},
    {"user_session", USER_ID, "user"},
};

struct action_row {
    const char *outer, *kind;
    int32_t action;     /* of "process": that of success; fail, cancel and start follow */
    const char *prefix; /* of what the keys name; NULL with a key: an entitlement's kind document */
    const char *keys[2]; /* of the action's data */
};

static const struct action_row actions[] = {
    {"emote", "upload", 0, NULL, {NULL}},
    {"emote", "change_name", 1, NULL, {NULL}},
    {"emote", "merge", 2, "emote", {"new_emote_id"}},
    {"emote", "change_owner", 3, "user", {"old", "new"}},
    {"emote", "change_tags", 4, NULL, {NULL}},
    {"emote", "change_flags", 5, NULL, {NULL}},
    {"emote", "delete", 6, NULL, {NULL}},
    {"emote", "process", 7, NULL, {NULL}},
    {"emote_set", "create", 100, NULL, {NULL}},
    {"emote_set", "change_name", 101, NULL, {NULL}},
    {"emote_set", "change_tags", 102, NULL, {NULL}},
    {"emote_set", "change_capacity", 103, NULL, {NULL}},
    {"emote_set", "add_emote", 104, "emote", {"emote_id"}},
    {"emote_set", "remove_emote", 105, "emote", {"emote_id"}},
    {"emote_set", "rename_emote", 106, "emote", {"emote_id"}},
    {"emote_set", "delete", 107, NULL, {NULL}},
    {"user", "create", 200, NULL, {NULL}},
    {"user", "change_active_paint", 201, "paint", {"old", "new"}},
    {"user", "change_active_badge", 202, "badge", {"old", "new"}},
    {"user", "change_active_emote_set", 203, "emote_set", {"old", "new"}},
    {"user", "add_connection", 204, NULL, {NULL}},
    {"user", "remove_connection", 205, NULL, {NULL}},
    {"user", "merge", 206, NULL, {NULL}},
    {"user", "delete", 207, NULL, {NULL}},
    {"user", "add_entitlement", 208, NULL, {"target"}},
    {"user", "remove_entitlement", 209, NULL, {"target"}},
    {"user_profile_picture", "create", 300, NULL, {NULL}},
    {"user_profile_picture", "process", 301, NULL, {NULL}},
    {"user_editor", "add_editor", 400, NULL, {NULL}},
    {"user_editor", "remove_editor", 401, NULL, {NULL}},
    {"user_editor", "edit_permissions", 402, NULL, {NULL}},
    {"user_ban", "ban", 500, NULL, {NULL}},
    {"user_ban", "change_reason", 501, NULL, {NULL}},
    {"user_ban", "change_expires_at", 502, NULL, {NULL}},
    {"user_ban", "change_user_ban_permissions", 503, NULL, {NULL}},
    {"user_ban", "unban", 504, NULL, {NULL}},
    {"user_session", "create", 600, NULL, {NULL}},
    {"user_session", "delete", 601, NULL, {NULL}},
    {"ticket", "create", 700, NULL, {NULL}},
    {"ticket", "add_member", 701, "user", {"member"}},
    {"ticket", "remove_member", 702, "user", {"member"}},
    {"ticket", "change_open", 703, NULL, {NULL}},
    {"ticket", "change_priority", 704, NULL, {NULL}},
    {"ticket_message", "create", 800, NULL, {NULL}},
    {"emote_moderation_request", "create", 900, NULL, {NULL}},
    {"emote_moderation_request", "change_status", 901, NULL, {NULL}},
    {"paint", "create", 1000, NULL, {NULL}},
    {"paint", "change_name", 1001, NULL, {NULL}},
    {"paint", "change_data", 1002, NULL, {NULL}},
    {"paint", "process", 1003, NULL, {NULL}},
    {"badge", "create", 1100, NULL, {NULL}},
    {"badge", "process", 1101, NULL, {NULL}},
    {"role", "create", 1200, NULL, {NULL}},
    {"role", "change_name", 1201, NULL, {NULL}},
    {"role", "change_color", 1202, NULL, {NULL}},
    {"role", "change_permissions", 1203, NULL, {NULL}},
    {"role", "change_rank", 1204, NULL, {NULL}},
    {"role", "delete", 1205, NULL, {NULL}},
    {"role", "add_entitlement", 1206, NULL, {"target"}},
    {"role", "remove_entitlement", 1207, NULL, {"target"}},
};

struct ing_event { /* which rows an event is; NULL if none */
    const struct outer_row *outer;
    const struct action_row *action;
};

struct span
ing_prefixed_id(struct ing_run *run, const char *prefix, const bson_iter_t *id)
{
    const unsigned char *bytes = ing_bson_uuid(id);
    size_t n = strlen(prefix);
    if (!bytes)
        return (struct span){0};
    char *text = arena_alloc(run->arena, n + 1 + ULID_TEXT_N);
    memcpy(text, prefix, n);
    text[n] = ':';
    ulid_write(bytes, text + n + 1);
    return span_of(text, n + 1 + ULID_TEXT_N);
}

static struct span
slot_text(struct ing_run *run, const struct ing_rule *rule, enum slot slot)
{
    const bson_iter_t *it = ing_run_slot(run, rule->slots[slot]);
    return it ? ing_bson_raw(it) : (struct span){0};
}

/* Member of a document by its dotted path. */
static bool
find(const bson_iter_t *document, const char *path, bson_iter_t *out)
{
    bson_iter_t at;
    return document && bson_iter_type(document) == BSON_TYPE_DOCUMENT &&
           bson_iter_recurse(document, &at) && bson_iter_find_descendant(&at, path, out);
}

static const struct ing_event *
event_of(struct ing_run *run, const struct ing_rule *rule)
{
    if (run->event)
        return run->event;
    struct ing_event *event = arena_calloc(run->arena, 1, sizeof *event);
    struct span outer = slot_text(run, rule, KIND), kind = slot_text(run, rule, ACTION_KIND);
    for (size_t i = 0; i < ARRAY_SIZE(outers); i++) {
        if (span_eq_str(outer, outers[i].kind))
            event->outer = &outers[i];
    }
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (span_eq_str(kind, actions[i].kind) && span_eq_str(outer, actions[i].outer))
            event->action = &actions[i];
    }
    run->event = event;
    return event;
}

/* What came of a processing job, as distance from the action of its success. */
static int32_t
process_result(struct ing_run *run, const struct ing_rule *rule)
{
    static const char *const results[] = {"success", "fail", "cancel", "start"};
    bson_iter_t at;
    if (!find(ing_run_slot(run, rule->slots[ACTION_DATA]), "event.kind", &at))
        return -1;
    for (int32_t i = 0; i < (int32_t)ARRAY_SIZE(results); i++) {
        if (span_eq_str(ing_bson_raw(&at), results[i]))
            return i;
    }
    return -1;
}

void
ing_derive_event_action(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const struct action_row *action = event_of(run, rule)->action;
    int32_t result = 0;
    if (action && strcmp(action->kind, "process") == 0)
        result = process_result(run, rule);
    if (action && result >= 0)
        ing_values_number(run, out, action->action + result);
    else
        ing_run_bad(run, rule, "is none of the known actions");
}

void
ing_derive_event_target(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const struct outer_row *outer = event_of(run, rule)->outer;
    const bson_iter_t *id = ing_run_slot(run, rule->slots[TARGET_ID]);
    bool is_editor = outer && strcmp(outer->kind, "user_editor") == 0;
    struct span text = {0};
    bson_iter_t user;
    if (is_editor && find(id, "user_id", &user))
        text = ing_prefixed_id(run, "user", &user);
    else if (outer && !is_editor && id)
        text = ing_prefixed_id(run, outer->kind, id);
    if (text.n > 0)
        ing_values_text(run, out, text);
    else
        ing_run_bad(run, rule, "is none of the known targets");
}

/* Adds "<prefix>:<id>"; a null or absent id is none, which several events allow. */
static void
put_related(struct ing_run *run, const struct ing_rule *rule, const char *prefix,
            const bson_iter_t *id, struct ing_values *out)
{
    if (!id || bson_iter_type(id) == BSON_TYPE_NULL)
        return;
    struct span text = ing_prefixed_id(run, prefix, id);
    if (text.n > 0)
        ing_values_text(run, out, text);
    else
        ing_run_bad(run, rule, "holds something that is no id");
}

/* An entitlement is related if it is a thing that others have too. */
static void
put_entitlement(struct ing_run *run, const bson_iter_t *node, struct ing_values *out)
{
    char text[ING_NODE_TEXT_MAX];
    struct span name = span_of(text, ing_node_write(node, text));
    enum ing_node_kind kind = ing_node_kind(name);
    if (kind == ING_NODE_ROLE || kind == ING_NODE_BADGE || kind == ING_NODE_PAINT ||
        kind == ING_NODE_EMOTE_SET || kind == ING_NODE_PRODUCT || kind == ING_NODE_SPECIAL_EVENT)
        ing_values_text(run, out, arena_dup(run->arena, name));
}

void
ing_derive_event_related(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const struct ing_event *event = event_of(run, rule);
    const bson_iter_t *data = ing_run_slot(run, rule->slots[ACTION_DATA]);
    bson_iter_t at;
    if (!event->outer)
        return;
    if (strcmp(event->outer->kind, "user_editor") == 0) {
        if (find(ing_run_slot(run, rule->slots[TARGET_ID]), "editor_id", &at))
            put_related(run, rule, "user", &at, out);
        return;
    }
    if (event->outer->related != NO_SLOT)
        put_related(run, rule, event->outer->related_prefix,
                    ing_run_slot(run, rule->slots[event->outer->related]), out);
    for (size_t i = 0; event->action && i < 2 && event->action->keys[i]; i++) {
        if (!find(data, event->action->keys[i], &at))
            continue;
        if (event->action->prefix)
            put_related(run, rule, event->action->prefix, &at, out);
        else
            put_entitlement(run, &at, out);
    }
}
