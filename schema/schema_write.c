/*
 * Writes a collection as the API shows it, keys in alphabetical order, and
 * condenses what matters to stored bytes into a fingerprint. What this program
 * adds to the dialect is written only where it differs from the default, so
 * that answers look the same to clients that know nothing of it.
 */
#include "schema/schema.h"

#include "base/hash.h"
#include "base/json_member.h"

static void
put_index(struct buf *out, unsigned flags)
{
    if ((flags & SCH_EXACT) && (flags & SCH_INDEXED))
        json_member_put_str(out, "index", SPAN_LIT("exact"));
    else
        json_member_put_bool(out, "index", flags & SCH_INDEXED);
}

void
sch_write_field(const struct sch_field *f, struct buf *out)
{
    buf_putc(out, '{');
    json_member_put_bool(out, "facet", f->flags & SCH_FACET);
    put_index(out, f->flags);
    json_member_put_bool(out, "infix", f->flags & SCH_INFIX);
    json_member_put_str(out, "locale", f->locale);
    json_member_put_str(out, "name", f->name);
    json_member_put_bool(out, "optional", f->flags & SCH_OPTIONAL);
    if (f->flags & SCH_ORDER)
        json_member_put_bool(out, "order", true);
    json_member_put_bool(out, "sort", f->flags & SCH_SORT);
    json_member_put_bool(out, "stem", f->flags & SCH_STEM);
    json_member_put_bool(out, "store", f->flags & SCH_STORED);
    json_member_put_str(out, "type", span_str(sch_type_name(f->type, f->flags & SCH_ARRAY)));
    buf_putc(out, '}');
}

static void
put_fields(const struct sch_collection *c, struct buf *out)
{
    json_put_name(out, "fields");
    buf_putc(out, '[');
    for (uint32_t i = 0; i < c->n_fields; i++) {
        struct sch_field f = c->fields[i];
        if ((int32_t)i == c->default_sort)
            f.flags &= ~(unsigned)SCH_ORDER; /* implied */
        json_put_comma(out);
        sch_write_field(&f, out);
    }
    buf_putc(out, ']');
}

static void
put_characters(struct buf *out, const char *name, struct span characters)
{
    json_put_name(out, name);
    buf_putc(out, '[');
    for (size_t i = 0; i < characters.n; i++) {
        json_put_comma(out);
        json_put_str(out, span_of(characters.p + i, 1));
    }
    buf_putc(out, ']');
}

void
sch_write(const struct sch_collection *c, uint64_t n_documents, bool without_fields,
          struct buf *out)
{
    struct span sort = {0};
    if (c->default_sort >= 0)
        sort = c->fields[c->default_sort].name;
    buf_putc(out, '{');
    json_member_put_u64(out, "created_at", c->created_at_s);
    json_member_put_str(out, "default_sorting_field", sort);
    json_member_put_bool(out, "enable_nested_fields", c->has_nested);
    if (!without_fields)
        put_fields(c, out);
    if (c->metadata.n > 0) {
        json_put_name(out, "metadata");
        buf_put_span(out, c->metadata);
    }
    json_member_put_str(out, "name", c->name);
    json_member_put_u64(out, "num_documents", n_documents);
    put_characters(out, "symbols_to_index", c->symbols);
    if (c->tie == SCH_TIE_ID)
        json_member_put_str(out, "tie", SPAN_LIT("id"));
    put_characters(out, "token_separators", c->separators);
    buf_putc(out, '}');
}

uint64_t
sch_fingerprint(const struct sch_collection *c)
{
    /* Whether a field may be missing, and stemming, leave no trace in a segment. */
    unsigned ignored = SCH_OPTIONAL | SCH_STEM;
    struct buf text = {0};
    buf_putc(&text, (char)('0' + c->tie));
    buf_put_bytes(&text, c->separators);
    buf_put_bytes(&text, c->symbols);
    for (uint32_t i = 0; i < c->n_fields; i++) {
        const struct sch_field *f = &c->fields[i];
        buf_put_bytes(&text, f->name);
        buf_put_bytes(&text, f->locale);
        buf_put_varint(&text, f->type);
        buf_put_varint(&text, f->flags & ~ignored);
    }
    uint64_t fingerprint = hash64(buf_span(&text));
    buf_fini(&text);
    return fingerprint;
}
