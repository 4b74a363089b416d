/*
 * Opening segments and finding their parts. Opening reads the header and the
 * section table only, and makes sure that every section lies inside the bytes
 * and has the size that its row implies; what a section holds is read after
 * its checksum, on first use.
 */
#include "index/segment.h"

#include "base/hash.h"

#include "index/parts.h"
#include "index/tails.h"

struct header {
    uint32_t version, n_sections, n_docs, n_fields, flags;
    uint64_t n_bytes, table, checksum;
};

static enum rc
read_header(struct span bytes, struct header *h, struct err *err)
{
    if (bytes.n < SEG_HEADER_N)
        return err_set(err, RC_CORRUPT, "a segment of %zu bytes is too short", bytes.n);
    struct bytes r = bytes_of(span_of(bytes.p, SEG_HEADER_N));
    if (!span_eq_str(bytes_take(&r, 8), SEG_MAGIC))
        return err_set(err, RC_CORRUPT, "the bytes are no segment");
    h->version = bytes_u32(&r);
    h->n_sections = bytes_u32(&r);
    h->n_bytes = bytes_u64(&r);
    h->table = bytes_u64(&r);
    h->n_docs = bytes_u32(&r);
    h->n_fields = bytes_u32(&r);
    h->flags = bytes_u32(&r);
    (void)bytes_u32(&r); /* reserved, like the next */
    (void)bytes_u64(&r);
    h->checksum = bytes_u64(&r);
    if (h->version < SEG_VERSION_MIN || h->version > SEG_VERSION)
        return err_set(err, RC_CORRUPT,
                       "the segment has format version %u, this program reads %d to %d", h->version,
                       SEG_VERSION_MIN, SEG_VERSION);
    if (h->n_bytes != bytes.n || h->table > bytes.n ||
        (uint64_t)h->n_sections * SEG_ROW_N != bytes.n - h->table)
        return err_set(err, RC_CORRUPT, "the segment has %zu bytes and should have %llu", bytes.n,
                       (unsigned long long)h->n_bytes);
    uint64_t sum = hash64(span_of(bytes.p, SEG_HEADER_N - sizeof(uint64_t)));
    sum = hash64_more(sum, span_from(bytes, h->table));
    if (sum != h->checksum)
        return err_set(err, RC_CORRUPT, "the segment's header fails its checksum");
    if (h->n_docs > SEG_DOCS_MAX || h->n_fields > SCH_FIELDS_MAX)
        return err_set(err, RC_CORRUPT, "the segment's header holds impossible numbers");
    return RC_OK;
}

static bool
read_row(struct bytes *r, struct span bytes, struct idx_section *s)
{
    s->kind = bytes_u8(r);
    s->sub = bytes_u8(r);
    s->flags = bytes_u16(r);
    s->field = bytes_u32(r);
    s->n = bytes_u32(r);
    s->extra = bytes_u32(r);
    uint64_t offset = bytes_u64(r), n_bytes = bytes_u64(r);
    s->checksum = bytes_u64(r);
    if (r->bad || offset % SEG_ALIGN || offset > bytes.n || n_bytes > bytes.n - offset)
        return false;
    s->bytes = span_of(bytes.p + offset, n_bytes);
    return true;
}

/* ---- attaching sections to what they are parts of ---- */

static bool
attach_terms(struct idx_segment *s, struct idx_section *section)
{
    if (section->sub >= IDX_TERMS_KIND_N)
        return false;
    struct idx_terms **slot = &s->terms[section->field * IDX_TERMS_KIND_N + section->sub];
    if (section->kind == SEG_DICT) {
        if (*slot)
            return false;
        *slot = xcalloc(1, sizeof **slot);
        (*slot)->n_docs = s->n_docs;
        (*slot)->dict_section = section;
        return idx_dict_open(&(*slot)->dict, section);
    }
    /* The dictionary comes first: the builder writes them in this order. */
    if (!*slot)
        return false;
    if (section->kind == SEG_FORWARD)
        return !(*slot)->forward && idx_forward_open(*slot, section);
    if (section->kind == SEG_TAILS)
        return idx_tails_open(*slot, section);
    return !(*slot)->postings && section->n == (*slot)->dict.n && idx_postings_open(*slot, section);
}

static bool
attach_once(struct idx_section **slot, struct idx_section *section)
{
    if (*slot)
        return false;
    *slot = section;
    return true;
}

static bool
attach_field(struct idx_segment *s, struct idx_section *section,
             const struct sch_collection *schema)
{
    if (section->field >= s->n_fields)
        return false;
    const struct sch_field *f = &schema->fields[section->field];
    struct idx_column column;
    if (section->kind == SEG_COLUMN)
        return section->sub == f->type && attach_once(&s->columns[section->field], section) &&
               idx_column_open(&column, section, s->n_docs) &&
               (column.offsets != NULL) == ((f->flags & SCH_ARRAY) != 0);
    if (section->kind == SEG_ORDER)
        return section->n <= s->n_docs && section->bytes.n == (uint64_t)section->n * 4 &&
               attach_once(&s->orders[section->field], section);
    return f->type == SCH_STRING && attach_terms(s, section);
}

static bool
attach(struct idx_segment *s, struct idx_section *section, const struct sch_collection *schema)
{
    switch (section->kind) {
    case SEG_IDS:
        return section->n == s->n_docs && attach_once(&s->ids_section, section) &&
               idx_ids_open(&s->ids, section);
    case SEG_ID_TABLE:
        return section->n > s->n_docs && attach_once(&s->id_table, section) &&
               idx_ids_open_table(&s->ids, section);
    case SEG_SEQ:
        return section->n == s->n_docs && attach_once(&s->seq, section) &&
               section->bytes.n == (uint64_t)section->n * sizeof(uint64_t);
    case SEG_DOC_BLOCKS:
        /* The blocks' bytes stand right before their table. */
        return section->extra == s->n_docs && section > s->sections &&
               section[-1].kind == SEG_DOC_BYTES && attach_once(&s->doc_rows, section) &&
               idx_docs_open(&s->docs, section, section[-1].bytes);
    case SEG_DOC_BYTES:
        return true;
    default:
        return section->kind < SEG_KIND_N && attach_field(s, section, schema);
    }
}

static enum rc
read_sections(struct idx_segment *s, const struct header *h, const struct sch_collection *schema,
              struct err *err)
{
    struct bytes r = bytes_of(span_from(s->bytes, h->table));
    for (uint32_t i = 0; i < h->n_sections; i++) {
        struct idx_section *section = &s->sections[i];
        section->health = s->health;
        if (!read_row(&r, s->bytes, section) || !attach(s, section, schema))
            return err_set(err, RC_CORRUPT, "section %u (kind %u, field %u) is not as it should be",
                           i, section->kind, section->field);
    }
    if (!s->ids_section || !s->id_table || !s->doc_rows || (h->flags & SEG_HAS_SEQ && !s->seq))
        return err_set(err, RC_CORRUPT, "the segment lacks a section");
    for (size_t i = 0; i < (size_t)s->n_fields * IDX_TERMS_KIND_N; i++)
        if (s->terms[i] && !s->terms[i]->forward)
            return err_set(err, RC_CORRUPT, "a dictionary lacks its lists");
    return RC_OK;
}

static enum rc
open_bytes(struct idx_segment *s, const struct sch_collection *schema, struct err *err)
{
    struct header h = {0};
    enum rc rc = read_header(s->bytes, &h, err);
    if (rc != RC_OK)
        return rc;
    if (h.n_fields > schema->n_fields)
        return err_set(err, RC_CORRUPT, "the segment has %u fields, its schema %u", h.n_fields,
                       schema->n_fields);
    s->n_docs = h.n_docs;
    s->n_fields = h.n_fields;
    s->n_sections = h.n_sections;
    s->tie = schema->tie;
    s->sections = xcalloc(h.n_sections, sizeof *s->sections);
    s->terms = xcalloc((size_t)h.n_fields * IDX_TERMS_KIND_N, sizeof(struct idx_terms *));
    s->columns = xcalloc(h.n_fields, sizeof(struct idx_section *));
    s->orders = xcalloc(h.n_fields, sizeof(struct idx_section *));
    return read_sections(s, &h, schema, err);
}

static struct idx_segment *
segment_new(void)
{
    struct idx_segment *s = xcalloc(1, sizeof *s);
    s->health = xcalloc(1, sizeof *s->health);
    return s;
}

enum rc
idx_segment_open_ram(struct buf *take_bytes, const struct sch_collection *schema,
                     struct idx_segment **out, struct err *err)
{
    struct idx_segment *s = segment_new();
    s->owned = *take_bytes;
    *take_bytes = (struct buf){0};
    s->bytes = buf_span(&s->owned);
    enum rc rc = open_bytes(s, schema, err);
    if (rc != RC_OK) {
        idx_segment_free(s);
        return rc;
    }
    *out = s;
    return RC_OK;
}

enum rc
idx_segment_open_map(struct fs *fs, struct fs_map *take_map, const struct sch_collection *schema,
                     struct idx_segment **out, struct err *err)
{
    struct idx_segment *s = segment_new();
    s->fs = fs;
    s->map = *take_map;
    *take_map = (struct fs_map){0};
    s->bytes = span_of(s->map.p, s->map.n);
    enum rc rc = open_bytes(s, schema, err);
    if (rc != RC_OK) {
        idx_segment_free(s);
        return rc;
    }
    *out = s;
    return RC_OK;
}

void
idx_segment_free(struct idx_segment *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->terms && i < (size_t)s->n_fields * IDX_TERMS_KIND_N; i++)
        free(s->terms[i]);
    free(s->terms);
    free(s->columns);
    free(s->orders);
    free(s->sections);
    free(s->health);
    if (s->fs)
        fs_unmap(s->fs, &s->map);
    buf_fini(&s->owned);
    free(s);
}

enum rc
idx_segment_check(const struct idx_segment *s, struct err *err)
{
    for (uint32_t i = 0; i < s->n_sections; i++) {
        struct idx_section *section = &s->sections[i];
        if (section->kind == SEG_DOC_BYTES || idx_section_is_checked(section))
            continue;
        bool is_good = idx_section_check(section); /* which remembers it */
        if (s->fs)
            fs_forget(section->bytes);
        if (!is_good)
            return err_set(err, RC_CORRUPT, "section %u of a segment fails its checksum", i);
    }
    return RC_OK;
}

/* ---- what it holds ---- */

struct span
idx_segment_bytes(const struct idx_segment *s)
{
    return s->bytes;
}

uint32_t
idx_segment_n_docs(const struct idx_segment *s)
{
    return s->n_docs;
}

bool
idx_segment_is_mapped(const struct idx_segment *s)
{
    return s->fs != NULL;
}

uint64_t
idx_segment_n_bytes(const struct idx_segment *s)
{
    return s->bytes.n;
}

bool
idx_segment_is_corrupt(const struct idx_segment *s)
{
    return atomic_load_explicit(&s->health->is_corrupt, memory_order_relaxed);
}

struct span
idx_segment_id(const struct idx_segment *s, uint32_t doc, char *text)
{
    must(doc < s->n_docs);
    return idx_section_good(s->ids_section) ? idx_ids_get(&s->ids, doc, text) : (struct span){0};
}

bool
idx_segment_find_id(const struct idx_segment *s, struct span id, uint32_t *doc)
{
    return idx_section_good(s->id_table) && idx_section_good(s->ids_section) &&
           idx_ids_find(&s->ids, id, doc);
}

uint64_t
idx_segment_seq(const struct idx_segment *s, uint32_t doc)
{
    must(doc < s->n_docs);
    if (!s->seq || !idx_section_good(s->seq))
        return 0;
    return load_u64(s->seq->bytes.p + (size_t)doc * sizeof(uint64_t));
}

struct idx_tie
idx_segment_tie(const struct idx_segment *s, uint32_t doc)
{
    if (s->tie == SCH_TIE_SEQ)
        return (struct idx_tie){idx_segment_seq(s, doc), 0};
    must(doc < s->n_docs);
    return idx_section_good(s->ids_section) ? idx_ids_tie(&s->ids, doc) : (struct idx_tie){0};
}

bool
idx_tie_before(const struct idx_segment *a, uint32_t a_doc, const struct idx_segment *b,
               uint32_t b_doc)
{
    if (a->tie == SCH_TIE_SEQ) {
        uint64_t x = idx_segment_seq(a, a_doc), y = idx_segment_seq(b, b_doc);
        if (x != y)
            return x > y;
    }
    must(a_doc < a->n_docs && b_doc < b->n_docs);
    return idx_section_good(a->ids_section) && idx_section_good(b->ids_section) &&
           idx_ids_compare(&a->ids, a_doc, &b->ids, b_doc) > 0;
}

bool
idx_segment_column(const struct idx_segment *s, uint32_t field, struct idx_column *out)
{
    if (field >= s->n_fields || !s->columns[field] || !idx_section_good(s->columns[field]))
        return false;
    return idx_column_open(out, s->columns[field], s->n_docs);
}

const uint32_t *
idx_segment_order(const struct idx_segment *s, uint32_t field, uint32_t *n)
{
    *n = 0;
    if (field >= s->n_fields || !s->orders[field] || !idx_section_good(s->orders[field]))
        return NULL;
    *n = s->orders[field]->n;
    return (const void *)s->orders[field]->bytes.p;
}

const struct idx_terms *
idx_segment_slot(const struct idx_segment *s, uint32_t field, enum idx_terms_kind kind)
{
    if (field >= s->n_fields)
        return NULL;
    struct idx_terms *t = s->terms[field * IDX_TERMS_KIND_N + kind];
    return t && idx_section_good(t->dict_section) ? t : NULL;
}

const struct idx_terms *
idx_segment_terms(const struct idx_segment *s, uint32_t field, enum idx_terms_kind kind)
{
    const struct idx_terms *t = idx_segment_slot(s, field, kind);
    return t && t->dict.n ? t : NULL;
}
