#include "admin/otlp_metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/metrics.h"
#include "base/json_writer.h"

#define PAGE_MAX_BYTES (1024 * 1024)
#define BUCKETS_MAX    64
#define LABEL_MAX      256

enum kind { KIND_NONE, KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

/* A histogram's lines come together: buckets, sum, count. */
struct buckets {
    double bound[BUCKETS_MAX];
    uint64_t upto[BUCKETS_MAX];
    size_t count;
    double sum;
};

struct convert {
    struct json_writer w;
    struct span name, help;
    enum kind kind;
    bool open; /* a metric's points are being written */
    struct buckets buckets;
    uint64_t start_us, now_us;
};

/* One line: NAME{LABELS} VALUE. */
struct sample {
    struct span name, labels;
    double value;
};

static struct span take_line(struct span *text)
{
    const char *end = memchr(text->ptr, '\n', text->len);
    struct span line = {text->ptr, end != NULL ? (size_t)(end - text->ptr) : text->len};
    size_t used = line.len + (end != NULL);

    text->ptr += used;
    text->len -= used;
    return line;
}

static bool starts(struct span s, struct span with)
{
    return s.len >= with.len && memcmp(s.ptr, with.ptr, with.len) == 0;
}

static struct span after(struct span s, size_t n)
{
    return (struct span){s.ptr + n, s.len - n};
}

static struct span until(struct span s, char c)
{
    const char *end = memchr(s.ptr, c, s.len);

    return (struct span){s.ptr, end != NULL ? (size_t)(end - s.ptr) : s.len};
}

static bool read_number(struct span s, double *out)
{
    char text[64], *end;

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    *out = strtod(text, &end);
    return *end == '\0';
}

/* --- labels --------------------------------------------------------------------------------
 */

/* The next KEY="VALUE", with what is escaped in it as it was. */
static bool next_label(struct span *labels, struct span *key, char value[LABEL_MAX])
{
    size_t n = 0;

    *key = until(*labels, '=');
    if (key->len == 0 || labels->len < key->len + 2)
        return false;
    *labels = after(*labels, key->len + 2); /* and the quote */
    while (labels->len > 0 && labels->ptr[0] != '"') {
        bool escaped = labels->ptr[0] == '\\' && labels->len > 1;

        if (n + 1 < LABEL_MAX)
            value[n++] = labels->ptr[escaped];
        *labels = after(*labels, escaped ? 2 : 1);
    }
    value[n] = '\0';
    if (labels->len > 0)
        *labels = after(*labels, 1);
    if (labels->len > 0 && labels->ptr[0] == ',')
        *labels = after(*labels, 1);
    return true;
}

static void put_labels(struct json_writer *w, struct span labels)
{
    char value[LABEL_MAX];
    struct span key;

    json_writer_open(w, "attributes", '[');
    while (next_label(&labels, &key, value)) {
        if (span_eq(key, SPAN("le")))
            continue;
        json_writer_open(w, NULL, '{');
        json_writer_text(w, "key", key);
        json_writer_open(w, "value", '{');
        json_writer_text(w, "stringValue", span_of(value));
        json_writer_close(w, '}');
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

static bool find_bound(struct span labels, double *out)
{
    char value[LABEL_MAX];
    struct span key;

    while (next_label(&labels, &key, value)) {
        if (span_eq(key, SPAN("le")))
            return read_number(span_of(value), out);
    }
    return false;
}

/* --- points --------------------------------------------------------------------------------
 */

static void put_whole(struct json_writer *w, const char *name, uint64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, n);

    json_writer_text(w, name, (struct span){text, (size_t)len});
}

static void put_nanoseconds(struct json_writer *w, const char *name, uint64_t us)
{
    put_whole(w, name, us * 1000);
}

static void open_point(struct convert *c, struct span labels)
{
    json_writer_open(&c->w, NULL, '{');
    put_labels(&c->w, labels);
    if (c->kind != KIND_GAUGE)
        put_nanoseconds(&c->w, "startTimeUnixNano", c->start_us);
    put_nanoseconds(&c->w, "timeUnixNano", c->now_us);
}

static void put_histogram(struct convert *c, const struct sample *s)
{
    const struct buckets *b = &c->buckets;
    uint64_t before = 0;

    open_point(c, s->labels);
    put_whole(&c->w, "count", (uint64_t)s->value);
    json_writer_exact(&c->w, "sum", b->sum);
    json_writer_open(&c->w, "explicitBounds", '[');
    for (size_t i = 0; i + 1 < b->count; i++) /* the last one has none: +Inf */
        json_writer_exact(&c->w, NULL, b->bound[i]);
    json_writer_close(&c->w, ']');
    json_writer_open(&c->w, "bucketCounts", '[');
    for (size_t i = 0; i < b->count; i++) {
        put_whole(&c->w, NULL, b->upto[i] - before);
        before = b->upto[i];
    }
    json_writer_close(&c->w, ']');
    json_writer_close(&c->w, '}');
    c->buckets.count = 0;
}

static enum status take_part(struct convert *c, const struct sample *s)
{
    struct span part = after(s->name, c->name.len);
    struct buckets *b = &c->buckets;

    if (span_eq(part, SPAN("_sum"))) {
        b->sum = s->value;
        return ST_OK;
    }
    if (span_eq(part, SPAN("_count"))) {
        put_histogram(c, s);
        return ST_OK;
    }
    if (!span_eq(part, SPAN("_bucket")) || b->count == BUCKETS_MAX ||
        !find_bound(s->labels, &b->bound[b->count]))
        return ST_INVALID;
    b->upto[b->count++] = (uint64_t)s->value;
    return ST_OK;
}

static enum status take_sample(struct convert *c, const struct sample *s)
{
    if (!c->open || !starts(s->name, c->name))
        return ST_INVALID;
    if (c->kind == KIND_HISTOGRAM)
        return take_part(c, s);
    open_point(c, s->labels);
    json_writer_exact(&c->w, "asDouble", s->value);
    json_writer_close(&c->w, '}');
    return ST_OK;
}

/* --- metrics --------------------------------------------------------------------------------
 */

static void close_metric(struct convert *c)
{
    if (!c->open)
        return;
    json_writer_close(&c->w, ']'); /* dataPoints */
    if (c->kind != KIND_GAUGE)
        json_writer_u64(&c->w, "aggregationTemporality", 2); /* CUMULATIVE */
    if (c->kind == KIND_COUNTER)
        json_writer_bool(&c->w, "isMonotonic", true);
    json_writer_close(&c->w, '}');
    json_writer_close(&c->w, '}');
    c->open = false;
}

static enum status open_metric(struct convert *c, struct span line)
{
    struct span name = until(line, ' ');
    struct span type = name.len < line.len ? after(line, name.len + 1) : SPAN("");

    close_metric(c);
    c->kind = span_eq(type, SPAN("counter"))     ? KIND_COUNTER
              : span_eq(type, SPAN("gauge"))     ? KIND_GAUGE
              : span_eq(type, SPAN("histogram")) ? KIND_HISTOGRAM
                                                 : KIND_NONE;
    if (c->kind == KIND_NONE)
        return ST_INVALID;
    c->name = name;
    c->buckets.count = 0;
    json_writer_open(&c->w, NULL, '{');
    json_writer_text(&c->w, "name", name);
    json_writer_text(&c->w, "description", c->help);
    json_writer_open(&c->w,
                     c->kind == KIND_COUNTER ? "sum"
                     : c->kind == KIND_GAUGE ? "gauge"
                                             : "histogram",
                     '{');
    json_writer_open(&c->w, "dataPoints", '[');
    c->open = true;
    return ST_OK;
}

static enum status read_sample(struct span line, struct sample *out)
{
    size_t n = 0;

    while (n < line.len && line.ptr[n] != '{' && line.ptr[n] != ' ')
        n++;
    *out = (struct sample){.name = {line.ptr, n}, .labels = {"", 0}};
    line = after(line, n);
    if (line.len > 0 && line.ptr[0] == '{') {
        const char *end = NULL;

        for (size_t i = line.len; i > 0 && end == NULL; i--) {
            if (line.ptr[i - 1] == '}')
                end = &line.ptr[i - 1];
        }
        if (end == NULL)
            return ST_INVALID;
        out->labels = (struct span){line.ptr + 1, (size_t)(end - line.ptr) - 1};
        line = after(line, (size_t)(end - line.ptr) + 1);
    }
    if (line.len < 2 || !read_number(after(line, 1), &out->value))
        return ST_INVALID;
    return ST_OK;
}

static enum status take(struct convert *c, struct span line)
{
    static const struct span help = {"# HELP ", 7}, type = {"# TYPE ", 7};
    struct sample s;
    enum status st;

    if (line.len == 0)
        return ST_OK;
    if (starts(line, help)) {
        c->help = after(line, help.len);
        c->help = after(c->help, until(c->help, ' ').len);
        if (c->help.len > 0)
            c->help = after(c->help, 1);
        return ST_OK;
    }
    if (starts(line, type))
        return open_metric(c, after(line, type.len));
    st = read_sample(line, &s);
    return st == ST_OK ? take_sample(c, &s) : st;
}

enum status otlp_metrics_convert(struct span text, struct buf *out, uint64_t start_us,
                                 uint64_t now_us)
{
    struct convert c = {.w = {out, ST_OK, false}, .start_us = start_us, .now_us = now_us};
    enum status st = ST_OK;

    while (st == ST_OK && text.len > 0)
        st = take(&c, take_line(&text));
    close_metric(&c);
    return st == ST_OK ? c.w.st : st;
}

enum status otlp_metrics_write(void *owner, struct buf *out, uint64_t start_us, uint64_t now_us)
{
    struct buf page;
    enum status st;

    buf_init(&page, PAGE_MAX_BYTES);
    st = metrics_write(&page, owner);
    if (st == ST_OK)
        st = otlp_metrics_convert(buf_span(&page), out, start_us, now_us);
    buf_release(&page);
    return st;
}
