#include "proxy/ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/day.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "config/config.h"
#include "proxy/ledger.h"

#define FORMAT_VERSION 1
#define DEPTH_MAX      4
#define ARENA_BYTES    ((size_t)128 * 1024 * 1024)
#define PATH_BYTES     2048
#define PIECE_BYTES    65536
#define TENANT_DIGITS  16

void ledger_file_rates(const struct config *c, struct ledger_rates *out)
{
    *out = (struct ledger_rates){.cpu_usd_per_hour = c->account.cpu_usd_per_hour,
                                 .cpu_watts = c->account.cpu_watts,
                                 .carbon_g_per_kwh = c->account.carbon_g_per_kwh,
                                 .upstream_carbon_g_per_kwh =
                                     c->account.upstream_carbon_g_per_kwh};
}

/* The members that are numbers, in the order they are written in. */
struct member {
    const char *name;
    size_t at;
    bool is_real;
};

#define COUNT(t, f, n)                                                                         \
    {                                                                                          \
        n, offsetof(struct t, f), false                                                        \
    }
#define REAL(t, f, n)                                                                          \
    {                                                                                          \
        n, offsetof(struct t, f), true                                                         \
    }

/* clang-format off */
static const struct member rate_members[] = {
    REAL(ledger_rates, cpu_usd_per_hour, "cpu_usd_per_hour"),
    REAL(ledger_rates, cpu_watts, "cpu_watts"),
    REAL(ledger_rates, carbon_g_per_kwh, "carbon_g_per_kwh"),
    REAL(ledger_rates, upstream_carbon_g_per_kwh, "upstream_carbon_g_per_kwh"),
};

static const struct member day_members[] = {
    REAL(ledger_day, cpu_s, "cpu_seconds"),
    REAL(ledger_day, measured_wh, "measured_wh"),
    REAL(ledger_day, estimated_wh, "estimated_wh"),
};

static const struct member sum_members[] = {
    COUNT(ledger_sums, requests, "requests"),
    COUNT(ledger_sums, unmetered, "unmetered"),
    COUNT(ledger_sums, prompt_tokens, "prompt_tokens"),
    COUNT(ledger_sums, cached_tokens, "cached_tokens"),
    COUNT(ledger_sums, completion_tokens, "completion_tokens"),
    COUNT(ledger_sums, unpriced_tokens, "unpriced_tokens"),
    REAL(ledger_sums, usd, "usd"),
    REAL(ledger_sums, saved_s, "saved_seconds"),
    REAL(ledger_sums, cpu_s, "cpu_seconds"),
    REAL(ledger_sums, wh, "upstream_wh"),
};
/* clang-format on */

/* --- writing --------------------------------------------------------------------------- */

static void write_members(struct json_writer *w, const struct member *list, size_t count,
                          const void *from)
{
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)from + list[i].at;

        if (list[i].is_real)
            json_writer_exact(w, list[i].name, *(const double *)at);
        else
            json_writer_u64(w, list[i].name, *(const uint64_t *)at);
    }
}

static void write_day(struct json_writer *w, uint32_t day)
{
    char text[DAY_TEXT_BYTES];

    day_write(day, text);
    json_writer_text(w, "day", span_of(text));
}

static void write_row(struct json_writer *w, const struct ledger_row *r)
{
    char tenant[TENANT_DIGITS + 1];

    (void)snprintf(tenant, sizeof(tenant), "%016" PRIx64, r->tenant);
    json_writer_raw(w, SPAN("\n"));
    json_writer_open(w, NULL, '{');
    write_day(w, r->day);
    json_writer_text(w, "tenant", span_of(tenant));
    json_writer_text(w, "route", ledger_row_route(r));
    json_writer_text(w, "model", ledger_row_model(r));
    json_writer_text(w, "source", span_of(source_name((enum source)r->source)));
    write_members(w, sum_members, ARRAY_LEN(sum_members), &r->sums);
    json_writer_close(w, '}');
}

enum status ledger_file_write(const struct ledger *l, const struct ledger_rates *rates,
                              uint64_t now_ms, struct buf *out)
{
    struct json_writer w = {out, ST_OK, false};

    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "ledger", FORMAT_VERSION);
    json_writer_u64(&w, "since_ms", l->since_ms);
    json_writer_u64(&w, "written_ms", now_ms);
    json_writer_open(&w, "rates", '{');
    write_members(&w, rate_members, ARRAY_LEN(rate_members), rates);
    json_writer_close(&w, '}');
    json_writer_open(&w, "days", '[');
    for (size_t i = 0; i < l->day_count; i++) {
        json_writer_open(&w, NULL, '{');
        write_day(&w, l->days[i].day);
        write_members(&w, day_members, ARRAY_LEN(day_members), &l->days[i]);
        json_writer_close(&w, '}');
    }
    json_writer_close(&w, ']');
    json_writer_open(&w, "rows", '[');
    for (size_t i = 0; i < l->row_count; i++)
        write_row(&w, &l->rows[i]);
    json_writer_close(&w, ']');
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

/* --- reading --------------------------------------------------------------------------- */

static bool read_members(const struct json *v, const struct member *list, size_t count,
                         void *to)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)to + list[i].at;
        const struct json *m = json_get(v, span_of(list[i].name));

        if (list[i].is_real ? !json_double(m, at) || !isfinite(*(double *)at)
                            : !json_u64(m, at))
            return false;
    }
    return true;
}

static bool read_tenant(struct span s, uint64_t *out)
{
    *out = 0;
    if (s.len != TENANT_DIGITS)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

static bool read_source(struct span s, enum source *out)
{
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        if (span_eq(s, span_of(source_name((enum source)i)))) {
            *out = (enum source)i;
            return true;
        }
    }
    return false;
}

static enum status read_row(const struct json *v, struct ledger *l)
{
    struct ledger_key k = {.route = json_str(json_get(v, SPAN("route"))),
                           .model = json_str(json_get(v, SPAN("model")))};
    struct ledger_sums sums;

    if (k.route.ptr == NULL || k.model.ptr == NULL ||
        !day_read(json_str(json_get(v, SPAN("day"))), &k.day) ||
        !read_tenant(json_str(json_get(v, SPAN("tenant"))), &k.tenant) ||
        !read_source(json_str(json_get(v, SPAN("source"))), &k.source) ||
        !read_members(v, sum_members, ARRAY_LEN(sum_members), &sums))
        return ST_INVALID;
    return ledger_restore_row(l, &k, &sums);
}

static enum status read_day(const struct json *v, struct ledger *l)
{
    struct ledger_day d;

    if (!day_read(json_str(json_get(v, SPAN("day"))), &d.day) ||
        !read_members(v, day_members, ARRAY_LEN(day_members), &d))
        return ST_INVALID;
    ledger_restore_day(l, &d);
    return ST_OK;
}

static enum status read_list(const struct json *list, struct ledger *l,
                             enum status (*read)(const struct json *, struct ledger *))
{
    enum status st = list != NULL && list->type == JSON_ARRAY ? ST_OK : ST_INVALID;

    for (const struct json *v = list != NULL ? list->child : NULL; v != NULL && st == ST_OK;
         v = v->next)
        st = read(v, l);
    return st;
}

static enum status read_root(const struct json *root, struct ledger *l,
                             struct ledger_rates *rates, uint64_t *now_ms)
{
    uint64_t version, since_ms, written_ms;
    struct ledger_rates own;
    enum status st;

    if (!json_u64(json_get(root, SPAN("ledger")), &version) || version != FORMAT_VERSION ||
        !json_u64(json_get(root, SPAN("since_ms")), &since_ms) ||
        !json_u64(json_get(root, SPAN("written_ms")), &written_ms) ||
        !read_members(json_get(root, SPAN("rates")), rate_members, ARRAY_LEN(rate_members),
                      &own))
        return ST_INVALID;
    st = read_list(json_get(root, SPAN("days")), l, read_day);
    if (st == ST_OK)
        st = read_list(json_get(root, SPAN("rows")), l, read_row);
    if (st != ST_OK)
        return st;
    if (since_ms < l->since_ms)
        l->since_ms = since_ms;
    if (rates != NULL)
        *rates = own;
    if (now_ms != NULL)
        *now_ms = written_ms;
    return ST_OK;
}

enum status ledger_file_read(struct span text, struct ledger *l, struct ledger_rates *rates,
                             uint64_t *now_ms, char *why, size_t why_cap)
{
    struct json_error err = {.text = ""};
    struct arena arena;
    struct json *root;
    enum status st;

    arena_init(&arena, PIECE_BYTES, ARENA_BYTES);
    st = json_parse(&arena, text, DEPTH_MAX, &root, &err);
    if (st != ST_OK) {
        (void)snprintf(why, why_cap, "it is not JSON: %s", err.text);
    } else {
        st = read_root(root, l, rates, now_ms);
        if (st == ST_INVALID)
            (void)snprintf(why, why_cap, "it is not a ledger of format %d", FORMAT_VERSION);
        else if (st != ST_OK)
            (void)snprintf(why, why_cap, "%s", status_text(st));
    }
    arena_release(&arena);
    return st;
}

/* --- the file -------------------------------------------------------------------------- */

enum status ledger_file_load(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status st = ST_OK;
    ssize_t n = 1;

    if (fd < 0)
        return errno == ENOENT ? ST_NOTFOUND : ST_UNAVAILABLE;
    while (st == ST_OK && n > 0) {
        st = buf_reserve(out, PIECE_BYTES);
        if (st != ST_OK)
            break;
        n = read(fd, out->ptr + out->len, PIECE_BYTES);
        if (n > 0)
            out->len += (size_t)n;
        else if (n < 0)
            st = ST_UNAVAILABLE;
    }
    close(fd);
    return st;
}

static bool write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.ptr += n;
        text.len -= (size_t)n;
    }
    return true;
}

/* The new name lasts when its folder is written too. */
static bool sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_BYTES];
    bool ok;
    int fd, n;

    n = slash != NULL ? snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path + 1), path)
                      : snprintf(folder, sizeof(folder), ".");
    fd = n > 0 && (size_t)n < sizeof(folder) ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

enum status ledger_file_save(const char *path, struct span text)
{
    char fresh[PATH_BYTES];
    bool ok;
    int fd, n = snprintf(fresh, sizeof(fresh), "%s.new", path);

    if (n < 0 || (size_t)n >= sizeof(fresh))
        return ST_INVALID;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return ST_UNAVAILABLE;
    ok = write_all(fd, text) && fsync(fd) == 0;
    close(fd);
    if (ok && rename(fresh, path) == 0)
        return sync_folder(path) ? ST_OK : ST_UNAVAILABLE;
    unlink(fresh);
    return ST_UNAVAILABLE;
}
