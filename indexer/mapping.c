/*
 * From a MongoDB document to a search document. Compiling:
 *   1. the id's form                       mapping_id.c
 *   2. a rule per field                    mapping_compile.c
 *   3. the paths they need, the projection mapping_paths.c
 * Running:
 *   1. walk the document once              mapping_paths.c
 *   2. name it                             mapping_id.c
 *   3. apply each rule                     mapping_values.c, derive.c, derive_event.c
 *   4. write the document's text           mapping_json.c
 *   5. tokenise                            document.c
 */
#include "indexer/mapping.h"

#include "base/hash.h"

#include "indexer/document.h"
#include "indexer/mapping_parts.h"

/* Raised when the same profile and document would make another search document. */
enum { RULES_VERSION = 1 };

/* ---- compiling ---- */

struct named {
    struct span name;
    int32_t field;
};

static int
compare_named(const void *a, const void *b)
{
    return span_cmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* The order in which fields are written, the id among them. */
static void
sort_fields(struct ing_mapping *m)
{
    uint32_t n = m->schema->n_fields;
    struct named *v = arena_calloc(&m->arena, n + 1, sizeof *v);
    v[n] = (struct named){SPAN_LIT("id"), -1};
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct named){m->schema->fields[i].name, (int32_t)i};
    qsort(v, n + 1, sizeof *v, compare_named);
    m->order = arena_calloc(&m->arena, n + 1, sizeof *m->order);
    for (uint32_t i = 0; i <= n; i++)
        m->order[i] = v[i].field;
}

/* What the pipeline wants to know of every document. */
static enum rc
add_own_paths(struct ing_mapping *m, struct err *err)
{
    struct span updated = json_get_str(m->schema->source, "updated_at", SPAN_LIT("updated_at"));
    const struct {
        struct span path;
        int32_t *slot;
    } own[] = {
        {SPAN_LIT("_id"), &m->id_slot},
        {updated, &m->updated_slot},
        {SPAN_LIT("search_updated_at"), &m->search_updated_slot},
        {SPAN_LIT("emotes_changed_since_reindex"), &m->emotes_changed_slot},
    };
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_SIZE(own) && rc == RC_OK; i++) {
        rc = ing_paths_add(&m->paths, own[i].path, &m->arena, own[i].slot, err);
        if (rc == RC_OK)
            rc = ing_paths_want(&m->paths, own[i].path, (struct span){0}, &m->arena, err);
    }
    return rc;
}

static enum rc
compile_rules(struct ing_mapping *m, struct err *err)
{
    enum rc rc = RC_OK;
    m->rules = arena_calloc(&m->arena, m->schema->n_fields, sizeof *m->rules);
    for (uint32_t i = 0; i < m->schema->n_fields && rc == RC_OK; i++) {
        struct ing_rule *rule = &m->rules[i];
        rc = ing_rule_compile(&m->schema->fields[i], &m->paths, &m->arena, rule, err);
        if (rc != RC_OK)
            break;
        bool is_user = rule->derivation && rule->derivation->has_relations;
        m->is_derived = m->is_derived || is_user;
        m->has_relations = m->has_relations || is_user || rule->as == ING_AS_GRANTS;
    }
    return rc;
}

static uint64_t
fingerprint(const struct ing_mapping *m)
{
    struct buf text = {0};
    buf_put_u64(&text, RULES_VERSION);
    buf_put_u64(&text, sch_fingerprint(m->schema));
    json_put(&text, m->schema->source, true);
    for (uint32_t i = 0; i < m->schema->n_fields; i++)
        json_put(&text, m->schema->fields[i].source, true);
    uint64_t result = hash64(buf_span(&text));
    buf_fini(&text);
    return result;
}

enum rc
ing_mapping_new(const struct sch_collection *c, struct ing_mapping **out, struct err *err)
{
    struct ing_mapping *m = xcalloc(1, sizeof *m);
    struct span source = json_get_str(c->source, "collection", (struct span){0});
    enum rc rc = RC_OK;
    m->schema = c;
    m->source = arena_str(&m->arena, source);
    tkz_analyzer_init(&m->analyzer, c->separators, c->symbols);
    if (source.n == 0)
        rc = err_set(err, RC_INVALID, "\"source\" needs the name of a \"collection\"");
    if (rc == RC_OK)
        rc = ing_id_compile(c->source, &m->arena, &m->id, err);
    if (rc == RC_OK)
        rc = add_own_paths(m, err);
    if (rc == RC_OK)
        rc = compile_rules(m, err);
    if (rc != RC_OK) {
        ing_mapping_free(m);
        return err_wrap(err, rc, "collection \"%.*s\"", SPAN_ARG(c->name));
    }
    sort_fields(m);
    m->projection = ing_paths_projection(&m->paths);
    m->fingerprint = fingerprint(m);
    *out = m;
    return RC_OK;
}

void
ing_mapping_free(struct ing_mapping *m)
{
    if (!m)
        return;
    if (m->projection)
        bson_destroy(m->projection);
    arena_fini(&m->arena);
    free(m);
}

const struct sch_collection *
ing_mapping_schema(const struct ing_mapping *m)
{
    return m->schema;
}

const struct tkz_analyzer *
ing_mapping_analyzer(const struct ing_mapping *m)
{
    return &m->analyzer;
}

const char *
ing_mapping_source(const struct ing_mapping *m)
{
    return m->source;
}

const bson_t *
ing_mapping_projection(const struct ing_mapping *m)
{
    return m->projection;
}

bool
ing_mapping_is_derived(const struct ing_mapping *m)
{
    return m->is_derived;
}

bool
ing_mapping_has_relations(const struct ing_mapping *m)
{
    return m->has_relations;
}

uint64_t
ing_mapping_fingerprint(const struct ing_mapping *m)
{
    return m->fingerprint;
}

enum rc
ing_mapping_id(const struct ing_mapping *m, const bson_iter_t *id, struct arena *arena,
               struct span *out, struct err *err)
{
    return ing_id_write(&m->id, id, arena, out, err);
}

/* ---- running ---- */

/* Milliseconds of a date (or a number); false if there is none. Before 1970 counts as 1970. */
static bool
read_ms(struct ing_run *run, int32_t slot, uint64_t *out)
{
    const bson_iter_t *it = ing_run_slot(run, slot);
    int64_t ms = 0;
    bool is_exact;
    if (!it)
        return false;
    if (bson_iter_type(it) == BSON_TYPE_DATE_TIME)
        ms = bson_iter_date_time(it);
    else if (!ing_bson_int(it, &ms, &is_exact))
        return false;
    *out = ms > 0 ? (uint64_t)ms : 0;
    return true;
}

static void
read_own(struct ing_run *run)
{
    const struct ing_mapping *m = run->m;
    struct ing_mapped *out = run->out;
    const bson_iter_t *changed = ing_run_slot(run, m->emotes_changed_slot);
    (void)read_ms(run, m->updated_slot, &out->updated_at_ms); /* stays 0 */
    out->has_search_updated_at = read_ms(run, m->search_updated_slot, &out->search_updated_at_ms);
    out->emotes_changed =
        changed && bson_iter_type(changed) == BSON_TYPE_BOOL && bson_iter_bool(changed);
}

/* Tokenises texts; numbers are borrowed from the run's values, which live in the arena. */
static const struct idx_value *
fill_values(struct ing_run *run)
{
    const struct ing_mapping *m = run->m;
    struct idx_value *values = arena_calloc(run->arena, m->schema->n_fields, sizeof *values);
    for (uint32_t i = 0; i < m->schema->n_fields; i++) {
        const struct sch_field *field = &m->schema->fields[i];
        const struct ing_values *v = &run->values[i];
        if (v->is_ulids && v->n > 0)
            values[i] = (struct idx_value){.n = v->n, .ulids = v->ulids, .is_ulids = true};
        else if (field->type == SCH_STRING)
            ing_value_strings(field, &m->analyzer, v->text, v->n, run->arena, &values[i]);
        else if (field->type == SCH_FLOAT)
            values[i] = (struct idx_value){.n = v->n, .f64 = v->real};
        else
            values[i] = (struct idx_value){.n = v->n, .i64 = v->number};
    }
    return values;
}

enum rc
ing_mapping_run(const struct ing_mapping *m, const bson_t *doc, const struct ing_mapping_env *env,
                struct ing_mapped *out, struct err *err)
{
    struct ing_place slots[ING_SLOTS_MAX];
    bool is_set[ING_SLOTS_MAX];
    uint32_t n = m->schema->n_fields;
    struct ing_mapped mapped = {0};
    struct ing_run run = {.m = m,
                          .arena = env->arena,
                          .relations = env->relations,
                          .now_ms = env->now_ms,
                          .may_elide = env->may_elide,
                          .slots = slots,
                          .is_set = is_set,
                          .out = &mapped};
    ing_paths_walk(&m->paths, doc, slots, is_set);
    if (!is_set[m->id_slot])
        return err_set(err, RC_INVALID, "a document has no _id");
    enum rc rc = ing_id_write(&m->id, &slots[m->id_slot].it, env->arena, &run.id, err);
    if (rc != RC_OK)
        return rc;
    read_own(&run);
    run.values = arena_calloc(env->arena, n, sizeof *run.values);
    for (uint32_t i = 0; i < n; i++)
        ing_rule_run(&run, &m->rules[i], &run.values[i]);
    mapped.doc = (struct idx_doc){.id = run.id, .json = ing_json_write(&run)};
    if (!env->wants_json_only)
        mapped.doc.values = fill_values(&run);
    mapped.doc.gaps = run.gaps;
    mapped.doc.n_gaps = run.n_gaps;
    mapped.derived = run.user;
    *out = mapped;
    return RC_OK;
}

/* Where the digits of the mapping time stand in a stored text; empty if it has none. */
static struct span
now_digits(const struct ing_mapping *m, struct span json)
{
    for (uint32_t i = 0; i < m->schema->n_fields; i++) {
        const struct ing_rule *rule = &m->rules[i];
        if (rule->as != ING_AS_NOW)
            continue;
        /* No value holds this text: a quote inside one is escaped. */
        const char *at = memmem(json.p, json.n, rule->json_name.p, rule->json_name.n);
        if (!at)
            continue;
        struct span text = span_from(json, (size_t)(at - json.p) + rule->json_name.n);
        size_t n = 0;
        while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
            n++;
        return span_of(text.p, n);
    }
    return span_of(json.p + json.n, 0);
}

uint64_t
ing_mapping_now(const struct ing_mapping *m, struct span json)
{
    int64_t ms;
    return span_i64(now_digits(m, json), &ms) ? (uint64_t)ms : 0;
}

bool
ing_mapping_is_same(const struct ing_mapping *m, struct span a, struct span b)
{
    struct span a_now = now_digits(m, a), b_now = now_digits(m, b);
    size_t n = (size_t)(a_now.p - a.p);
    return a.n == b.n && a_now.n == b_now.n && n == (size_t)(b_now.p - b.p) &&
           memcmp(a.p, b.p, n) == 0 &&
           span_eq(span_from(a, n + a_now.n), span_from(b, n + b_now.n));
}
