/*
 * What a profile cannot say with paths: the named derivations of the 7TV data
 * model. One row each; the events' are in derive_event.c.
 */
#include "indexer/derive.h"

/* ---- emotes, products, tickets ---- */

enum { DELETED, MERGED };

/* An emote merged into another one is as good as deleted. */
static void
derive_deleted(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const bson_iter_t *deleted = ing_run_slot(run, rule->slots[DELETED]);
    const bson_iter_t *merged = ing_run_slot(run, rule->slots[MERGED]);
    bool is_bool = deleted && bson_iter_type(deleted) == BSON_TYPE_BOOL;
    if (!is_bool)
        ing_run_bad(run, rule, deleted ? "is of a wrong type" : "is missing");
    ing_values_number(run, out, merged || (is_bool && bson_iter_bool(deleted)));
}

enum { PRICES, CURRENCY };

static void
derive_price(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const bson_iter_t *prices = ing_run_slot(run, rule->slots[PRICES]);
    const bson_iter_t *currency = ing_run_slot(run, rule->slots[CURRENCY]);
    struct span name = currency ? ing_bson_raw(currency) : (struct span){0};
    bson_iter_t at;
    int64_t price = 0;
    bool is_exact;
    if (name.p && prices && bson_iter_type(prices) == BSON_TYPE_DOCUMENT &&
        bson_iter_recurse(prices, &at) && bson_iter_find_w_len(&at, name.p, (int)name.n))
        (void)ing_bson_int(&at, &price, &is_exact); /* stays 0 */
    ing_values_number(run, out, price);
}

/* "user:<ULID>", "emote:<ULID>" or "emote_set:<ULID>" of a ticket's target; 0 bytes if it is none.
 */
static struct span
target_text(struct ing_run *run, const bson_iter_t *target)
{
    static const char *const kinds[] = {"user", "emote", "emote_set"};
    bson_iter_t kind, id;
    if (bson_iter_type(target) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(target, &kind) ||
        !bson_iter_recurse(target, &id) || !bson_iter_find(&kind, "kind") ||
        !bson_iter_find(&id, "id"))
        return (struct span){0};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (span_eq_str(ing_bson_raw(&kind), kinds[i]))
            return ing_prefixed_id(run, kinds[i], &id);
    }
    return (struct span){0};
}

/* The list of targets, or whether an emote is among them; only the list complains. */
static void
derive_targets(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const bson_iter_t *targets = ing_run_slot(run, rule->slots[0]);
    bool is_list = rule->field->type == SCH_STRING;
    bool has_emote = false;
    bson_iter_t at;
    if (targets && bson_iter_type(targets) == BSON_TYPE_ARRAY && bson_iter_recurse(targets, &at)) {
        while (bson_iter_next(&at)) {
            struct span text = target_text(run, &at);
            has_emote = has_emote || span_starts(text, SPAN_LIT("emote:"));
            if (is_list && text.n > 0)
                ing_values_text(run, out, text);
            else if (is_list)
                ing_run_bad(run, rule, "holds something that is no target");
        }
    } else if (targets && is_list) {
        ing_run_bad(run, rule, "is no array");
    }
    if (!is_list)
        ing_values_number(run, out, has_emote);
}

/* ---- users ---- */

enum { ACTIVE_SET, ACTIVE_ITEM };

/* What the graph says of the user; worked out once per document. */
static const struct ing_user_derived *
user_of(struct ing_run *run, const struct ing_rule *rule)
{
    if (run->user)
        return run->user;
    struct ing_user_derived *user = arena_calloc(run->arena, 1, sizeof *user);
    const bson_iter_t *set = ing_run_slot(run, rule->slots[ACTIVE_SET]);
    struct span set_id = set ? ing_bson_ulid(set, run->arena) : (struct span){0};
    if (run->relations)
        ing_relations_user(run->relations, run->id, set_id, run->arena, user);
    run->user = user;
    return user;
}

/* Lends the list; nothing is appended to it or sorted in it afterwards. */
static void
put_texts(struct span *texts, uint32_t n, struct ing_values *out)
{
    out->text = texts;
    out->n = n;
    out->cap = n;
}

static void
derive_entitlements(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const struct ing_user_derived *user = user_of(run, rule);
    put_texts(user->entitlements, user->n_entitlements, out);
}

static void
derive_grants(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const struct ing_user_derived *user = user_of(run, rule);
    put_texts(user->grants, user->n_grants, out);
}

static void
derive_emotes(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const struct ing_user_derived *user = user_of(run, rule);
    if (!user->ulids || !rule->may_pack) {
        put_texts(ing_user_emotes(user, run->arena), user->n_emotes, out);
        return;
    }
    out->is_ulids = true;
    out->ulids = user->ulids;
    out->n = user->n_emotes;
    out->cap = user->n_emotes;
}

static void
derive_role_rank(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    ing_values_number(run, out, user_of(run, rule)->role_rank);
}

static void
derive_role_hoist_rank(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    ing_values_number(run, out, user_of(run, rule)->role_hoist_rank);
}

/* The badge or paint a user wears, if the user has it. */
static void
derive_active_item(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const bson_iter_t *item = ing_run_slot(run, rule->slots[ACTIVE_ITEM]);
    bool is_badge = strcmp(rule->derivation->name, "user_active_badge") == 0;
    if (!item)
        return;
    struct span text = ing_prefixed_id(run, is_badge ? "badge" : "paint", item);
    if (text.n == 0) {
        ing_run_bad(run, rule, "is of a wrong type");
        return;
    }
    const struct ing_user_derived *user = user_of(run, rule);
    for (uint32_t i = 0; i < user->n_entitlements; i++) {
        if (span_eq(user->entitlements[i], text)) {
            ing_values_text(run, out, ing_node_id(text));
            return;
        }
    }
}

/* ---- the table ---- */

#define SET "style.active_emote_set_id"

static const struct ing_derivation derivations[] = {
    {"default_price",
     SCH_INT64,
     false,
     false,
     derive_price,
     {"currency_prices", "default_currency"}},
    {"deleted_or_merged", SCH_BOOL, false, false, derive_deleted, {"deleted", "merged"}},
    {"event_action", SCH_INT32, false, false, ing_derive_event_action, {ING_EVENT_PATHS}},
    {"event_related", SCH_STRING, true, false, ing_derive_event_related, {ING_EVENT_PATHS}},
    {"event_target", SCH_STRING, false, false, ing_derive_event_target, {ING_EVENT_PATHS}},
    {"ticket_targets", SCH_STRING, true, false, derive_targets, {"targets"}},
    {"ticket_targets_emote", SCH_BOOL, false, false, derive_targets, {"targets"}},
    {"user_active_badge",
     SCH_STRING,
     false,
     true,
     derive_active_item,
     {SET, "style.active_badge_id"}},
    {"user_active_paint",
     SCH_STRING,
     false,
     true,
     derive_active_item,
     {SET, "style.active_paint_id"}},
    {"user_emotes", SCH_STRING, true, true, derive_emotes, {SET}},
    {"user_entitlements", SCH_STRING, true, true, derive_entitlements, {SET}},
    {"user_grants", SCH_STRING, true, true, derive_grants, {SET}},
    {"user_role_hoist_rank", SCH_INT32, false, true, derive_role_hoist_rank, {SET}},
    {"user_role_rank", SCH_INT32, false, true, derive_role_rank, {SET}},
};

const struct ing_derivation *
ing_derivation_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_SIZE(derivations); i++) {
        if (span_eq_str(name, derivations[i].name))
            return &derivations[i];
    }
    return NULL;
}
