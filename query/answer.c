/*
 * Writes an answer: keys in alphabetical order, no blanks. The id alone comes
 * from the id table; anything else from the stored documents, whose text is
 * copied, not parsed (but for highlights).
 */
#include "query/answer.h"

#include "base/clock.h"
#include "base/json.h"

#include "query/fields.h"
#include "query/highlight.h"

struct writer {
    struct qry_ctx *ctx;
    const struct qry_answer *a;
    const struct qry_plan *plan;
    const struct qry_highlighter *highlighter;
    struct buf *out;
    struct err *err;
};

/* ---- a hit ---- */

static void
put_id(const struct writer *w, const struct qry_hit *hit)
{
    char text[IDX_ID_MAX];
    const struct idx_view *view = &w->plan->search.collection->views[hit->view];

    buf_puts(w->out, "{\"id\":");
    json_put_str(w->out, idx_segment_id(view->segment, hit->doc, text));
    buf_putc(w->out, '}');
}

/* The document and what of it is highlighted. */
static enum rc
put_document(const struct writer *w, const struct qry_hit *hit)
{
    const struct idx_view *view = &w->plan->search.collection->views[hit->view];
    bool has_highlights = w->highlighter != NULL;
    struct json parsed;
    struct span text;

    buf_puts(w->out, "\"document\":");
    if (w->plan->is_id_only && !has_highlights) {
        put_id(w, hit);
        buf_putc(w->out, ',');
        qry_highlight_write(NULL, w->plan, NULL, w->out);
        return RC_OK;
    }
    enum rc rc = idx_doc_reader_get(w->ctx->documents, view->segment, hit->doc, &text, w->err);
    if (rc != RC_OK)
        return rc;
    qry_fields_write(text, &w->plan->include, w->plan->includes_all, &w->plan->exclude, w->out);
    buf_putc(w->out, ',');
    has_highlights =
        has_highlights && json_parse(text, &w->ctx->arena, &parsed, w->err) == RC_OK;
    qry_highlight_write(has_highlights ? w->highlighter : NULL, w->plan,
                        has_highlights ? &parsed : NULL, w->out);
    return RC_OK;
}

/* What the bits of a score say (6.6). */
static void
put_text_match(const struct writer *w, uint64_t score)
{
    bool is_max = w->plan->search.text_match_type == QRY_MAX_SCORE;
    uint64_t matched = score >> 59 & 15;
    uint64_t best_score = is_max ? score >> 11 & 0xffffffffffffu : score >> 3 & 0xffffffffffffu;
    uint64_t best_weight = is_max ? score >> 3 & 0xff : score >> 51 & 0xff;
    uint64_t typo = 255 - (score >> (is_max ? 35 : 27) & 0xff);
    uint64_t n_tokens = w->a->match ? qry_match_n_tokens(w->a->match) : 0;
    struct buf *out = w->out;

    if (n_tokens == 0)
        n_tokens = 1; /* the match-all marker counts as a token */

    buf_puts(out, ",\"text_match\":");
    json_put_i64(out, (int64_t)score);
    buf_puts(out, ",\"text_match_info\":{\"best_field_score\":\"");
    json_put_u64(out, best_score);
    buf_puts(out, "\",\"best_field_weight\":");
    json_put_u64(out, best_weight);
    buf_puts(out, ",\"fields_matched\":");
    json_put_u64(out, score & 7);
    buf_puts(out, ",\"num_tokens_dropped\":");
    json_put_u64(out, n_tokens > matched ? n_tokens - matched : 0);
    buf_puts(out, ",\"score\":\"");
    json_put_u64(out, score);
    buf_puts(out, "\",\"tokens_matched\":");
    json_put_u64(out, matched);
    buf_puts(out, ",\"typo_prefix_score\":");
    json_put_u64(out, typo);
    buf_putc(out, '}');
}

static enum rc
put_hit(const struct writer *w, const struct qry_hit *hit)
{
    json_put_comma(w->out);
    buf_putc(w->out, '{');
    if (hit->is_pinned)
        buf_puts(w->out, "\"curated\":true,");
    enum rc rc = put_document(w, hit);
    if (rc != RC_OK)
        return rc;
    if (w->a->has_text_match && !hit->is_pinned)
        put_text_match(w, hit->text_match);
    buf_putc(w->out, '}');
    return RC_OK;
}

static enum rc
put_unit(const struct writer *w, const struct qry_unit *unit)
{
    enum rc rc = RC_OK;

    if (!w->a->groups)
        return put_hit(w, &unit->hits[0]);
    json_put_comma(w->out);
    buf_putc(w->out, '{');
    if (!unit->is_pinned) {
        buf_puts(w->out, "\"found\":");
        json_put_u64(w->out, unit->found);
        buf_putc(w->out, ',');
    }
    buf_puts(w->out, "\"group_key\":");
    qry_groups_write_key(w->a->groups, &unit->hits[0], w->out);
    buf_puts(w->out, ",\"hits\":[");
    for (size_t i = 0; rc == RC_OK && i < unit->n; i++)
        rc = put_hit(w, &unit->hits[i]);
    buf_puts(w->out, "]}");
    return rc;
}

/* ---- around the hits ---- */

static void
put_request_params(const struct writer *w)
{
    buf_puts(w->out, "\"request_params\":{\"collection_name\":");
    json_put_str(w->out, w->plan->search.collection->schema->name);
    buf_puts(w->out, ",\"first_q\":");
    json_put_str(w->out, w->plan->search.q);
    buf_puts(w->out, ",\"per_page\":");
    json_put_u64(w->out, w->plan->per_page);
    buf_puts(w->out, ",\"q\":");
    json_put_str(w->out, w->plan->search.q);
    buf_putc(w->out, '}');
}

static void
put_tail(const struct writer *w)
{
    struct buf *out = w->out;

    if (w->plan->is_by_offset) {
        buf_puts(out, ",\"offset\":");
        json_put_u64(out, w->plan->offset);
    }
    if (!w->plan->without_out_of) {
        buf_puts(out, ",\"out_of\":");
        json_put_u64(out, w->plan->search.collection->n_docs);
    }
    if (!w->plan->is_by_offset) {
        buf_puts(out, ",\"page\":");
        json_put_u64(out, w->plan->page);
    }
    buf_putc(out, ',');
    put_request_params(w);
    buf_puts(out, w->a->is_cut_off ? ",\"search_cutoff\":true" : ",\"search_cutoff\":false");
    if (!w->plan->without_time) {
        buf_puts(out, ",\"search_time_ms\":");
        json_put_u64(out, (clock_us() - w->a->begin_us) / 1000);
    }
    buf_putc(out, '}');
}

enum rc
qry_answer_write(struct qry_ctx *ctx, const struct qry_answer *a, struct buf *out,
                 struct err *err)
{
    struct writer w = {
        .ctx = ctx,
        .a = a,
        .plan = a->plan,
        .highlighter = qry_highlighter_new(a->plan, a->match, &ctx->arena),
        .out = out,
        .err = err,
    };
    enum rc rc = RC_OK;

    buf_puts(out, "{\"facet_counts\":");
    buf_put_span(out, a->facets);
    buf_puts(out, ",\"found\":");
    json_put_u64(out, a->found);
    if (a->groups) {
        buf_puts(out, ",\"found_docs\":");
        json_put_u64(out, a->found_docs);
        buf_puts(out, ",\"grouped_hits\":[");
    } else {
        buf_puts(out, ",\"hits\":[");
    }
    for (size_t i = 0; rc == RC_OK && i < a->n_units; i++)
        rc = put_unit(&w, &a->units[i]);
    buf_putc(out, ']');
    if (rc == RC_OK)
        put_tail(&w);
    return rc;
}
