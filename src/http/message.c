#include "http/message.h"

#include <string.h>

#include "http/request_rules.h"

#define LEADING_LINES_MAX 4

static int on_url(llhttp_t *p, const char *at, size_t n);
static int on_field(llhttp_t *p, const char *at, size_t n);
static int on_value(llhttp_t *p, const char *at, size_t n);
static int on_status(llhttp_t *p, const char *at, size_t n);
static int on_head(llhttp_t *p);

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
};

static enum status refuse(struct message *m, unsigned status, const char *text)
{
    m->refuse_status = status;
    m->refuse_text = text;
    return ST_INVALID;
}

/* --- before llhttp: what it would take and we do not ----------------------------- */

/* llhttp 8 takes other protocols' names for HTTP. */
static bool has_version(struct span version)
{
    return span_eq(version, SPAN("HTTP/1.1")) || span_eq(version, SPAN("HTTP/1.0"));
}

/* "HTTP/1.1 200 OK": three digits, then the end or a space and words (RFC 9112 4). */
static bool has_status(struct span line)
{
    const char *p = line.ptr + sizeof("HTTP/1.1 ") - 1;

    return line.len >= sizeof("HTTP/1.1 200") - 1 && p[-1] == ' ' && p[0] >= '1' &&
           p[0] <= '5' && p[1] >= '0' && p[1] <= '9' && p[2] >= '0' && p[2] <= '9' &&
           (line.len == sizeof("HTTP/1.1 200") - 1 || p[3] == ' ');
}

/* RFC 9112 3: single spaces; lenient splitting is a way to smuggle. */
static bool has_two_spaces(struct span line)
{
    const char *end = line.ptr + line.len;
    const char *first = memchr(line.ptr, ' ', line.len);
    const char *second =
        first != NULL ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;

    return second != NULL && memchr(second + 1, ' ', (size_t)(end - second - 1)) == NULL;
}

static bool is_printable(struct span line, bool ascii)
{
    unsigned char bad = 0;

    /* No early end: nearly always it is, and so the loop looks at many at once. */
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];

        bad |= (unsigned char)((c < 0x20) | (c == 0x7f) | (ascii & (c >= 0x80)));
    }
    return bad == 0;
}

static enum status check_start_line(struct message *m, struct span line)
{
    const size_t n = sizeof("HTTP/1.1") - 1;
    bool request = m->side == MESSAGE_REQUEST, known;

    if (!is_printable(line, request))
        return refuse(m, 400, "the start line has a control or non-ASCII character");
    if (request && !has_two_spaces(line))
        return refuse(m, 400, "the request line must be: METHOD SP TARGET SP HTTP/1.1");
    known = line.len > n &&
            has_version((struct span){request ? line.ptr + line.len - n : line.ptr, n});
    if (!known)
        return refuse(m, 505, "the only version is HTTP/1.1");
    if (!request && !has_status(line))
        return refuse(m, 400, "the status line is malformed");
    return ST_OK;
}

static enum status check_field_line(struct message *m, struct span line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct span name = {line.ptr, colon != NULL ? (size_t)(colon - line.ptr) : line.len};

    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return refuse(m, 400, "folded header lines are not allowed");
    if (!http_is_token(name))
        return refuse(m, 400, "a header name has a character that is not allowed");
    if (colon == NULL || name.len == 0)
        return refuse(m, 400, "a header line must be: NAME: VALUE");
    if (!http_is_value((struct span){colon, line.len - name.len}))
        return refuse(m, 400, "a header value has a control character");
    return ST_OK;
}

/* `head` ends with CRLF CRLF and has neither CR nor LF but at the ends of lines. Counts
 * those of fields. */
static enum status check_lines(struct message *m, struct span head)
{
    const char *p = head.ptr, *end = head.ptr + head.len - 2;
    enum status st = ST_OK;
    size_t n = 0;

    for (; st == ST_OK && p < end; n++) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        struct span line = {p, (size_t)(cr - p)};

        st = n == 0 ? check_start_line(m, line) : check_field_line(m, line);
        p = cr + 2;
    }
    m->lines = n - 1;
    return st;
}

/* --- llhttp's callbacks ---------------------------------------------------------- */

static struct message *of(llhttp_t *p)
{
    return p->data;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    of(p)->head.target = (struct span){at, n};
    return 0;
}

static int on_status(llhttp_t *p, const char *at, size_t n)
{
    of(p)->head.reason = (struct span){at, n};
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct message *m = of(p);

    if (m->head.field_count == m->lines)
        return -1; /* never: a field has a line */
    /* An empty value may come without a call of its own. */
    m->head.fields[m->head.field_count++] =
        (struct http_field){.name = {at, n}, .value = {"", 0}};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct message *m = of(p);

    while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    m->head.fields[m->head.field_count - 1].value = (struct span){at, n};
    return 0;
}

static int on_head(llhttp_t *p)
{
    struct message *m = of(p);

    m->head.minor = p->http_minor;
    m->head.status = p->status_code;
    p->upgrade = 0; /* we speak HTTP/1.1 only; the offer is ignored (RFC 9110 7.8) */
    m->in_body = true;
    return 1; /* to llhttp it has no body: bodies are read here */
}

/* --- after llhttp: what the fields mean ------------------------------------------ */

static bool has_no_body(const struct message *m)
{
    unsigned s = m->head.status;

    return m->side == MESSAGE_RESPONSE &&
           (m->head_request || s == 204 || s == 304 || (s >= 100 && s < 200));
}

/* RFC 9112 6.3, without its leniencies. */
static enum status read_framing(struct message *m)
{
    struct http_head *h = &m->head;
    struct span coding = {NULL, 0}, length = {NULL, 0};
    size_t codings = 0, lengths = 0;
    bool connection = false;

    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];

        if (http_name_eq(f->name, SPAN("content-length"))) {
            length = f->value;
            lengths++;
        } else if (http_name_eq(f->name, SPAN("transfer-encoding"))) {
            coding = f->value;
            codings++;
        } else if (http_name_eq(f->name, SPAN("connection"))) {
            connection = true;
        }
    }
    if (codings > 0 && lengths > 0)
        return refuse(m, 400, "both Transfer-Encoding and Content-Length");
    if (codings > 1 || lengths > 1)
        return refuse(m, 400, "a framing header is repeated");
    if (lengths == 1 && !request_rules_length(length, &h->content_length))
        return refuse(m, 400, "Content-Length must be a number");
    if (codings == 1 && !http_name_eq(coding, SPAN("chunked")))
        return refuse(m, 501, "the only transfer coding is 'chunked'");
    if (codings == 1 && h->minor == 0)
        return refuse(m, 400, "Transfer-Encoding in HTTP/1.0");
    if (has_no_body(m))
        h->framing = HTTP_NO_BODY;
    else if (codings == 1)
        h->framing = HTTP_CHUNKED;
    else if (lengths == 1)
        h->framing = HTTP_LENGTH;
    else
        h->framing = m->side == MESSAGE_REQUEST ? HTTP_NO_BODY : HTTP_UNTIL_EOF;
    if (m->side == MESSAGE_REQUEST && h->framing == HTTP_LENGTH && h->content_length == 0)
        h->framing = HTTP_NO_BODY;
    h->names_hops = connection;
    h->keep_alive =
        h->framing != HTTP_UNTIL_EOF &&
        (h->minor >= 1
             ? !connection || !http_head_has_token(h, SPAN("connection"), SPAN("close"))
             : http_head_has_token(h, SPAN("connection"), SPAN("keep-alive")));
    return ST_OK;
}

static bool starts_scheme(struct span s, const char *scheme)
{
    size_t n = strlen(scheme);

    return s.len > n && http_name_eq((struct span){s.ptr, n}, (struct span){scheme, n});
}

/* absolute-form (RFC 9112 3.2.2) becomes origin-form; its authority must be the Host's,
 * or two readers would route it differently. */
static enum status read_absolute(struct message *m)
{
    struct http_head *h = &m->head;
    struct span rest = h->target, authority;
    size_t skip = starts_scheme(rest, "http://") ? 7 : starts_scheme(rest, "https://") ? 8 : 0;
    size_t n = 0;

    if (skip == 0)
        return refuse(m, 400, "the request target must begin with '/'");
    rest.ptr += skip;
    rest.len -= skip;
    while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
        n++;
    authority = (struct span){rest.ptr, n};
    if (!http_name_eq(authority, http_head_get(h, SPAN("host"))))
        return refuse(m, 400, "the target's authority is not the Host");
    h->target = (struct span){rest.ptr + n, rest.len - n};
    if (h->target.len == 0)
        h->target = SPAN("/");
    else if (h->target.ptr[0] != '/')
        return refuse(m, 400, "the request target must begin with '/'");
    return ST_OK;
}

static enum status read_request(struct message *m)
{
    struct http_head *h = &m->head;
    enum status st;

    h->method = span_of(llhttp_method_name((llhttp_method_t)m->parser.method));
    st = request_rules_check(h, &m->refuse_status, &m->refuse_text);
    if (st != ST_OK)
        return st;
    if (h->target.ptr[0] != '/' && !span_eq(h->target, SPAN("*"))) {
        st = read_absolute(m);
        if (st != ST_OK)
            return st;
    }
    request_rules_split(h);
    return ST_OK;
}

/* --- the head -------------------------------------------------------------------- */

/* *end: the offset after CRLF CRLF, or 0 when it is not there yet. A CR without its LF
 * and an LF without its CR are line ends to some readers and not to others (llhttp 8.1.0
 * takes the CR): refused before it sees them. */
static enum status find_end(struct message *m, struct span in, size_t *end)
{
    const char *p = in.ptr + m->scanned, *stop = in.ptr + in.len;

    *end = 0;
    while (p < stop) {
        const char *cr = memchr(p, '\r', (size_t)(stop - p));

        if (memchr(p, '\n', (size_t)((cr != NULL ? cr : stop) - p)) != NULL)
            return refuse(m, 400, "a line must end with CRLF");
        if (cr == NULL || cr + 1 == stop) {
            m->scanned = (size_t)((cr != NULL ? cr : stop) - in.ptr);
            return ST_OK;
        }
        if (cr[1] != '\n')
            return refuse(m, 400, "a line must end with CRLF");
        if (cr == in.ptr)
            return refuse(m, 400, "the start line is empty");
        if (cr[-1] == '\n') {
            *end = (size_t)(cr - in.ptr) + 2;
            return ST_OK;
        }
        p = cr + 2;
    }
    m->scanned = in.len;
    return ST_OK;
}

static void start_body(struct message *m)
{
    m->left = m->head.content_length;
    m->done = m->head.framing == HTTP_NO_BODY ||
              (m->head.framing == HTTP_LENGTH && m->head.content_length == 0);
    chunked_start(&m->chunked);
}

static enum status parse_head(struct message *m, struct span raw)
{
    struct span head;
    enum llhttp_errno rc;
    enum status st = check_lines(m, raw);

    if (st != ST_OK)
        return st;
    if (m->lines > HTTP_FIELDS_MAX)
        return refuse(m, 431, "too many header fields");
    if (arena_copy(m->arena, raw, &head) != ST_OK)
        return ST_NOMEM;
    m->head.fields = arena_alloc(m->arena, (m->lines + 1) * sizeof(*m->head.fields),
                                 _Alignof(struct http_field));
    if (m->head.fields == NULL)
        return ST_NOMEM;
    llhttp_init(&m->parser, m->side == MESSAGE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
                &settings);
    m->parser.data = m;
    rc = llhttp_execute(&m->parser, head.ptr, head.len);
    if (rc != HPE_OK) {
        if (m->refuse_status == 0)
            refuse(m, rc == HPE_INVALID_VERSION ? 505 : 400, "the head is malformed");
        return ST_INVALID;
    }
    if (!m->in_body)
        return refuse(m, 400, "the head is malformed");
    if (m->side == MESSAGE_REQUEST) {
        st = read_request(m);
        if (st != ST_OK)
            return st;
    }
    st = read_framing(m);
    if (st == ST_OK)
        start_body(m);
    return st;
}

/* RFC 9112 2.2: a few empty lines before a request are forgiven. */
static size_t leading_lines(struct message *m, struct span in)
{
    size_t n = 0;

    while (m->side == MESSAGE_REQUEST && m->skipped < LEADING_LINES_MAX && n + 2 <= in.len &&
           in.ptr[n] == '\r' && in.ptr[n + 1] == '\n') {
        n += 2;
        m->skipped++;
    }
    return n;
}

static enum status next_head(struct message *m, struct span in, size_t *used,
                             enum message_event *event)
{
    size_t skip = m->scanned == 0 ? leading_lines(m, in) : 0, end;
    enum status st;

    *event = MESSAGE_MORE;
    *used = skip;
    in.ptr += skip;
    in.len -= skip;
    /* The first byte tells a client that speaks something else (TLS, HTTP/2). */
    if (in.len > 0 && m->side == MESSAGE_REQUEST && !http_is_token_char(in.ptr[0]) &&
        (in.ptr[0] != '\r' || m->skipped == LEADING_LINES_MAX))
        return refuse(m, 400, "this is no HTTP/1.1 request");
    st = find_end(m, in, &end);
    if (st != ST_OK)
        return st;
    if ((end != 0 ? end : in.len) > m->head_max)
        return refuse(m, 431, "the head is too large");
    if (end == 0)
        return ST_OK;
    st = parse_head(m, (struct span){in.ptr, end});
    if (st != ST_OK)
        return st;
    *used = skip + end;
    *event = MESSAGE_HEAD;
    return ST_OK;
}

/* --- the body -------------------------------------------------------------------- */

static enum status next_chunk(struct message *m, struct span in, size_t *used)
{
    enum status st = chunked_next(&m->chunked, in, used, &m->piece);

    if (st == ST_LIMIT)
        return refuse(m, 400, "the chunked body has too much framing");
    if (st != ST_OK)
        return refuse(m, 400, "the framing of the body is malformed");
    m->done = m->chunked.state == CHUNKED_END;
    return ST_OK;
}

static enum status next_body(struct message *m, struct span in, size_t *used,
                             enum message_event *event)
{
    enum status st;

    *used = 0;
    *event = m->done ? MESSAGE_END : MESSAGE_MORE;
    if (m->done || in.len == 0)
        return ST_OK;
    if (m->head.framing == HTTP_CHUNKED) {
        st = next_chunk(m, in, used);
        if (st != ST_OK)
            return st;
    } else {
        if (m->head.framing == HTTP_LENGTH && in.len > m->left)
            in.len = (size_t)m->left;
        m->left -= m->head.framing == HTTP_LENGTH ? in.len : 0;
        m->done = m->head.framing == HTTP_LENGTH && m->left == 0;
        m->piece = in;
        *used = in.len;
    }
    if (m->piece.len > 0)
        *event = MESSAGE_BODY;
    else if (m->done)
        *event = MESSAGE_END;
    return ST_OK;
}

void message_start(struct message *m, enum message_side side, struct arena *arena,
                   size_t head_max, bool head_request)
{
    *m = (struct message){
        .arena = arena, .side = side, .head_max = head_max, .head_request = head_request};
}

enum status message_next(struct message *m, struct span in, size_t *used,
                         enum message_event *event)
{
    return m->in_body ? next_body(m, in, used, event) : next_head(m, in, used, event);
}

void message_switch(struct message *m)
{
    m->head.framing = HTTP_UNTIL_EOF;
    m->head.keep_alive = false;
    m->done = false;
}

enum status message_eof(struct message *m)
{
    if (m->in_body && (m->done || m->head.framing == HTTP_UNTIL_EOF))
        return ST_OK;
    return ST_CLOSED;
}
