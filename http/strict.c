#include "http/strict.h"

#include <strings.h>

/* RFC 9110, section 5.6.2: tchar. */
static bool
is_token_byte(unsigned char c)
{
    static const bool yes[256] = {
        ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
        ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,  ['~'] = 1, ['0'] = 1,
        ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1,  ['7'] = 1, ['8'] = 1,
        ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1,  ['F'] = 1, ['G'] = 1,
        ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1,  ['N'] = 1, ['O'] = 1,
        ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,  ['V'] = 1, ['W'] = 1,
        ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1,  ['d'] = 1, ['e'] = 1,
        ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1,  ['l'] = 1, ['m'] = 1,
        ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1,  ['t'] = 1, ['u'] = 1,
        ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
    };
    return yes[c];
}

static struct http_refusal
bad(const char *text)
{
    return (struct http_refusal){400, text};
}

size_t
http_strict_end(struct span in, size_t *scanned, struct http_refusal *refusal)
{
    if (in.n > 0 && !is_token_byte((unsigned char)in.p[0])) {
        *refusal = bad("this is no HTTP request");
        return 0;
    }
    while (*scanned < in.n) {
        size_t at = span_find(in, *scanned, '\n');
        if (at == in.n)
            break;
        if (in.p[at - 1] != '\r') {
            *refusal = bad("a line does not end with CR LF");
            return 0;
        }
        *scanned = at + 1;
        if (in.p[at - 2] == '\n')
            return at + 1;
    }
    *scanned = in.n;
    return 0;
}

static bool
equals(struct span a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

/* Takes the line off *rest, without its CR LF. The block ends every line with both. */
static struct span
take_line(struct span *rest)
{
    size_t n = span_find(*rest, 0, '\n');
    struct span line = span_of(rest->p, n - 1);
    *rest = span_from(*rest, n + 1);
    return line;
}

static bool
method_find(struct span name, enum http_method *out)
{
    static const char *const names[HTTP_METHOD_N] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS",
    };
    for (unsigned i = 0; i < HTTP_METHOD_N; i++) {
        if (span_eq_str(name, names[i])) {
            *out = (enum http_method)i;
            return true;
        }
    }
    return false;
}

static struct http_refusal
check_version(struct span version, struct http_frame *f)
{
    if (version.n < 6 || memcmp(version.p, "HTTP/", 5) != 0)
        return bad("the request line has no HTTP version");
    struct span digits = span_from(version, 5);
    if (span_eq_str(digits, "1.0")) {
        f->is_http10 = true;
        return (struct http_refusal){0};
    }
    /* A higher minor number is served as 1.1 (RFC 9110, section 2.5). */
    if (digits.n == 3 && digits.p[0] == '1' && digits.p[1] == '.' && digits.p[2] > '0' &&
        digits.p[2] <= '9')
        return (struct http_refusal){0};
    if (digits.n == 3 && digits.p[1] == '.' && digits.p[0] >= '0' && digits.p[0] <= '9')
        return (struct http_refusal){505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
    return bad("the request line has no HTTP version");
}

static struct http_refusal
check_target(struct span target)
{
    if (target.n == 0)
        return bad("the request has no target");
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c < 0x20 || c == 0x7f)
            return bad("the request target holds a control byte");
        if (c == ' ')
            return bad("the request target holds a blank");
    }
    return (struct http_refusal){0};
}

/* `method SP target SP version`, nothing else. */
static struct http_refusal
check_request_line(struct span line, struct http_frame *f)
{
    size_t method_n = span_find(line, 0, ' ');
    for (size_t i = 0; i < method_n; i++) {
        if (!is_token_byte((unsigned char)line.p[i]))
            return bad("the method is no token");
    }
    size_t version_at = line.n;
    while (version_at > method_n && line.p[version_at - 1] != ' ')
        version_at--;
    if (method_n == line.n || version_at <= method_n + 1)
        return bad("the request line is not complete");
    struct http_refusal no =
        check_target(span_of(line.p + method_n + 1, version_at - method_n - 2));
    if (no.status == 0)
        no = check_version(span_from(line, version_at), f);
    if (no.status != 0)
        return no;
    if (!method_find(span_of(line.p, method_n), &f->method))
        return (struct http_refusal){404, "Not Found"};
    return no;
}

/* What the lines seen so far said. */
struct seen {
    unsigned n_hosts, n_lengths, n_codings;
};

static struct http_refusal
check_length(struct span value, struct seen *seen, struct http_frame *f)
{
    /* Also a repeated equal value is refused: no client has a reason to send it. */
    if (seen->n_lengths++ > 0)
        return bad("Content-Length is given more than once");
    if (value.n == 0 || value.n > 18)
        return bad("Content-Length is no number");
    uint64_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return bad("Content-Length is no number");
        n = n * 10 + (uint64_t)(value.p[i] - '0');
    }
    f->has_length = true;
    f->body_bytes = n;
    return (struct http_refusal){0};
}

static struct http_refusal
check_coding(struct span value, struct seen *seen, struct http_frame *f)
{
    if (seen->n_codings++ > 0)
        return bad("Transfer-Encoding is given more than once");
    if (!equals(value, "chunked"))
        return bad("of the transfer codings only chunked is known");
    f->is_chunked = true;
    return (struct http_refusal){0};
}

static struct http_refusal
check_known(struct span name, struct span value, struct seen *seen, struct http_frame *f)
{
    if (equals(name, "Host") && seen->n_hosts++ > 0)
        return bad("Host is given more than once");
    if (equals(name, "Content-Length"))
        return check_length(value, seen, f);
    if (equals(name, "Transfer-Encoding"))
        return check_coding(value, seen, f);
    if (!equals(name, "Expect"))
        return (struct http_refusal){0};
    if (!equals(value, "100-continue"))
        return (struct http_refusal){417, "of the expectations only 100-continue is known"};
    f->expects_continue = true;
    return (struct http_refusal){0};
}

static struct http_refusal
check_field(struct span line, struct seen *seen, struct http_frame *f)
{
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return bad("a header line is folded");
    size_t name_n = span_find(line, 0, ':');
    if (name_n == line.n)
        return bad("a header line has no colon");
    if (name_n == 0)
        return bad("a header has no name");
    for (size_t i = 0; i < name_n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if (!is_token_byte(c))
            return bad(c == ' ' || c == '\t' ? "a header name holds a blank"
                                             : "a header name holds a byte that may not be there");
    }
    for (size_t i = name_n + 1; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return bad("a header value holds a control byte");
    }
    struct span value = span_trim(span_from(line, name_n + 1));
    return check_known(span_of(line.p, name_n), value, seen, f);
}

/* RFC 9112, sections 3.2, 6.1 and 6.3. */
static struct http_refusal
check_whole(const struct seen *seen, struct http_frame *f)
{
    if (!f->is_http10 && seen->n_hosts == 0)
        return bad("the Host header is missing");
    if (f->is_chunked && f->has_length)
        return bad("Content-Length and Transfer-Encoding exclude each other");
    if (f->is_chunked && f->is_http10)
        return bad("HTTP/1.0 knows no Transfer-Encoding");
    if (f->is_http10)
        f->expects_continue = false;
    return (struct http_refusal){0};
}

struct http_refusal
http_strict_check(struct span block, struct http_frame *f)
{
    *f = (struct http_frame){0};
    struct seen seen = {0};
    struct span rest = block;
    struct http_refusal no = check_request_line(take_line(&rest), f);
    while (no.status == 0) {
        struct span line = take_line(&rest);
        if (line.n == 0)
            return check_whole(&seen, f);
        no = check_field(line, &seen, f);
        f->n_fields++;
    }
    return no;
}
