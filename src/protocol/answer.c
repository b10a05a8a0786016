#include "protocol/answer.h"

#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/size.h"
#include "protocol/answer_keep.h"
#include "protocol/event_run.h"
#include "protocol/protocol.h"

#define PACK_VERSION 3

const char *answer_verdict_name(enum answer_verdict v)
{
    static const char *const names[] = {
#define X(name, text) [ANSWER_##name] = text,
        ANSWER_VERDICT_MAP(X)
#undef X
    };

    return names[v];
}

/* --- what is new for each answer ------------------------------------------------------ */

/* 62^8 is far below 2^64: what is left of a draw is as good as even. */
#define LETTERS_A_DRAW 8

/* splitmix64, Steele, Lea, Flood 2014 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Ids need to be different, not secret, so one strong seed a thread is enough. */
void answer_stamp_new(struct answer_stamp *out, uint64_t wall_ms)
{
    static const char letters[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static _Thread_local uint64_t state;
    uint64_t z = 0;

    if (state == 0 && digest_random((uint8_t *)&state, sizeof(state)) != ST_OK)
        state = wall_ms;
    for (unsigned i = 0; i < ANSWER_ID_LETTERS; i++) {
        if (i % LETTERS_A_DRAW == 0)
            z = next_random(&state);
        out->letters[i] = letters[z % (sizeof(letters) - 1)];
        z /= sizeof(letters) - 1;
    }
    out->letters[ANSWER_ID_LETTERS] = '\0';
    out->created_s = wall_ms / 1000;
}

static void put_digits(char *out, uint64_t n, unsigned width)
{
    for (unsigned i = width; i > 0; i--, n /= 10)
        out[i - 1] = (char)('0' + n % 10);
}

/* Days since 1970-01-01 as year, month, day: H. Hinnant, "chrono-compatible low-level date
 * algorithms", civil_from_days; for days that are not negative. */
static void put_date(char *out, uint64_t days)
{
    uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    uint64_t month = mp < 10 ? mp + 3 : mp - 9;

    put_digits(out, yoe + era * 400 + (month <= 2 ? 1 : 0), 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, doy - (153 * mp + 2) / 5 + 1, 2);
}

size_t answer_time_write(enum answer_time form, uint64_t unix_s, char *out)
{
    switch (form) {
    case ANSWER_TIME_NONE:
        return 0;
    case ANSWER_TIME_UNIX:
        put_digits(out, unix_s, ANSWER_UNIX_BYTES);
        return ANSWER_UNIX_BYTES;
    case ANSWER_TIME_RFC3339:
        memcpy(out, "0000-00-00T00:00:00.000000Z", ANSWER_RFC3339_BYTES);
        put_date(out, unix_s / 86400);
        put_digits(out + 11, unix_s / 3600 % 24, 2);
        put_digits(out + 14, unix_s / 60 % 60, 2);
        put_digits(out + 17, unix_s % 60, 2);
        return ANSWER_RFC3339_BYTES;
    }
    return 0;
}

void answer_set_cached(struct answer *a, const struct json *v)
{
    uint64_t n;

    a->cached_tokens = json_u64(v, &n) ? (n < a->prompt_tokens ? n : a->prompt_tokens) : 0;
}

/* --- packing -------------------------------------------------------------------------- */

enum { USAGE_NONE, USAGE_PRESENT, USAGE_WITHHELD };

/* Bits of `usage` below the cached tokens. */
#define USAGE_BITS 2
#define CACHED_MAX (UINT32_MAX >> USAGE_BITS)

/* A part that is not among what is kept of the body, or not as it was said there (JSON has
 * escapes for it): it lies before the body, by itself. */
#define PART_APART UINT32_MAX

/* Fixed part of a packed answer; native byte order: every machine we run on is little
 * endian, and the version is checked. */
struct packed {
    uint32_t version;
    uint32_t usage; /* USAGE_…, and above it cached_tokens */
    uint32_t id_at, time_at;
    uint8_t id_letters, time_form;
    uint16_t unused;                       /* 0 */
    uint32_t model_at, text_at, finish_at; /* in json, or PART_APART */
    uint64_t prompt_tokens, completion_tokens, total_tokens;
    uint32_t model_bytes, text_bytes, finish_bytes, json_bytes;
};

/* The one before: every part apart. */
struct packed_2 {
    uint32_t version, usage;
    uint32_t id_at, id_letters;
    uint32_t time_at, time_form;
    uint64_t prompt_tokens, completion_tokens, total_tokens;
    uint32_t model_bytes, text_bytes, finish_bytes, json_bytes;
};

/* Whoever read the answer left a part in its json where it could (answer_keep.c). */
static uint32_t place_of(struct span part, struct span json)
{
    uintptr_t at = (uintptr_t)part.ptr - (uintptr_t)json.ptr;

    return part.len > 0 && at < json.len && part.len <= json.len - at ? (uint32_t)at
                                                                      : PART_APART;
}

static struct span apart(struct span part, uint32_t at)
{
    return at == PART_APART ? part : (struct span){NULL, 0};
}

enum status answer_pack(struct buf *out, const struct answer *a)
{
    struct packed p = {
        .version = PACK_VERSION,
        .usage = a->has_usage        ? USAGE_PRESENT
                 : a->usage_withheld ? USAGE_WITHHELD
                                     : USAGE_NONE,
        .id_at = a->id_at,
        .time_at = a->time_at,
        .id_letters = (uint8_t)a->id_letters,
        .time_form = (uint8_t)a->time_form,
        .model_at = place_of(a->model, a->json),
        .text_at = place_of(a->text, a->json),
        .finish_at = place_of(a->finish_reason, a->json),
        .prompt_tokens = a->prompt_tokens,
        .completion_tokens = a->completion_tokens,
        .total_tokens = a->total_tokens,
        .model_bytes = (uint32_t)a->model.len,
        .text_bytes = (uint32_t)a->text.len,
        .finish_bytes = (uint32_t)a->finish_reason.len,
        .json_bytes = (uint32_t)a->json.len,
    };
    const struct span parts[] = {{(const char *)&p, sizeof(p)},
                                 apart(a->model, p.model_at),
                                 apart(a->text, p.text_at),
                                 apart(a->finish_reason, p.finish_at),
                                 a->json};
    enum status st = ST_OK;

    p.usage |= (uint32_t)(a->cached_tokens < CACHED_MAX ? a->cached_tokens : CACHED_MAX)
               << USAGE_BITS;
    if (a->model.len > UINT32_MAX || a->text.len > UINT32_MAX ||
        a->finish_reason.len > UINT32_MAX || a->json.len > UINT32_MAX)
        return ST_LIMIT;
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(parts); i++)
        st = buf_append(out, parts[i]);
    return st;
}

static bool take(struct span *rest, size_t n, struct span *out)
{
    if (!span_sub(*rest, 0, n, out))
        return false;
    rest->ptr += n;
    rest->len -= n;
    return true;
}

/* From before json, or nothing yet. */
static bool take_apart(struct span *rest, uint32_t at, uint32_t n, struct span *out)
{
    return at != PART_APART || take(rest, n, out);
}

static bool find_inside(struct span json, uint32_t at, uint32_t n, struct span *out)
{
    return at == PART_APART || span_sub(json, at, n, out);
}

/* The fixed part of either version. */
static bool take_head(struct span *rest, struct packed *p)
{
    struct span head;
    struct packed_2 old;
    uint32_t version;

    if (rest->len < sizeof(version))
        return false;
    memcpy(&version, rest->ptr, sizeof(version));
    if (version == PACK_VERSION) {
        if (!take(rest, sizeof(*p), &head))
            return false;
        memcpy(p, head.ptr, sizeof(*p));
        return true;
    }
    if (version != 2 || !take(rest, sizeof(old), &head))
        return false;
    memcpy(&old, head.ptr, sizeof(old));
    *p = (struct packed){.usage = old.usage,
                         .id_at = old.id_at,
                         .time_at = old.time_at,
                         .id_letters = (uint8_t)old.id_letters,
                         .time_form = (uint8_t)old.time_form,
                         .model_at = PART_APART,
                         .text_at = PART_APART,
                         .finish_at = PART_APART,
                         .prompt_tokens = old.prompt_tokens,
                         .completion_tokens = old.completion_tokens,
                         .total_tokens = old.total_tokens,
                         .model_bytes = old.model_bytes,
                         .text_bytes = old.text_bytes,
                         .finish_bytes = old.finish_bytes,
                         .json_bytes = old.json_bytes};
    return old.id_letters <= UINT8_MAX && old.time_form <= UINT8_MAX;
}

static size_t time_bytes(enum answer_time form)
{
    char scratch[ANSWER_RFC3339_BYTES];

    return answer_time_write(form, 0, scratch);
}

static bool marks_fit(const struct packed *p)
{
    uint32_t n = p->json_bytes;

    if (p->id_letters > ANSWER_ID_LETTERS || p->id_at > n || n - p->id_at < p->id_letters)
        return false;
    return p->time_form <= ANSWER_TIME_RFC3339 && p->time_at <= n &&
           n - p->time_at >= time_bytes((enum answer_time)p->time_form);
}

enum status answer_unpack(struct span bytes, struct answer *out)
{
    struct answer a = {.verdict = ANSWER_STORABLE};
    struct span rest = bytes;
    struct packed p;

    if (!take_head(&rest, &p) || !take_apart(&rest, p.model_at, p.model_bytes, &a.model) ||
        !take_apart(&rest, p.text_at, p.text_bytes, &a.text) ||
        !take_apart(&rest, p.finish_at, p.finish_bytes, &a.finish_reason) ||
        !take(&rest, p.json_bytes, &a.json) || rest.len != 0 || !marks_fit(&p) ||
        !find_inside(a.json, p.model_at, p.model_bytes, &a.model) ||
        !find_inside(a.json, p.text_at, p.text_bytes, &a.text) ||
        !find_inside(a.json, p.finish_at, p.finish_bytes, &a.finish_reason))
        return ST_INVALID;
    a.id_at = p.id_at;
    a.id_letters = p.id_letters;
    a.time_at = p.time_at;
    a.time_form = (enum answer_time)p.time_form;
    a.has_usage = (p.usage & 3) == USAGE_PRESENT;
    a.usage_withheld = (p.usage & 3) == USAGE_WITHHELD;
    a.cached_tokens = p.usage >> USAGE_BITS;
    a.prompt_tokens = p.prompt_tokens;
    a.completion_tokens = p.completion_tokens;
    a.total_tokens = p.total_tokens;
    *out = a;
    return ST_OK;
}

/* --- in and out ------------------------------------------------------------------------ */

/* `always`: kept whatever the verdict. */
static enum status read_body(const struct protocol *p, struct arena *arena, struct span body,
                             bool always, struct answer *out)
{
    struct answer a = {.verdict = ANSWER_MALFORMED};
    struct json_error why;
    struct json *root;
    enum status st = json_parse(arena, body, JSON_DEPTH_MAX, &root, &why);

    if (st == ST_NOMEM)
        return st;
    if (st == ST_OK) {
        p->judge(root, &a);
        if (always || a.verdict == ANSWER_STORABLE || a.verdict == ANSWER_TOOL_CALL) {
            st = answer_keep(arena, p->shape, body, root, &a);
            if (st != ST_OK)
                return st;
        }
    }
    *out = a;
    return ST_OK;
}

enum status answer_read(const struct protocol *p, struct arena *arena, struct span body,
                        struct answer *out)
{
    return read_body(p, arena, body, false, out);
}

enum status answer_from_text(const struct protocol *p, struct arena *arena,
                             const struct protocol_text *t, struct answer *out)
{
    struct buf body;
    enum status st;

    buf_init(&body, SIZE_MAX / 4);
    st = p->render(&body, t);
    if (st == ST_OK)
        st = read_body(p, arena, buf_span(&body), true, out);
    buf_release(&body);
    return st;
}

enum status answer_write(struct buf *out, const struct answer *a,
                         const struct answer_stamp *stamp)
{
    size_t start = out->len;
    enum status st = buf_append(out, a->json);

    if (st != ST_OK)
        return st;
    memcpy(out->ptr + start + a->id_at, stamp->letters, a->id_letters);
    (void)answer_time_write(a->time_form, stamp->created_s, out->ptr + start + a->time_at);
    return ST_OK;
}

/* What is replayed has its new id and time already. */
static enum status parse_stamped(const struct answer *a, const struct answer_stamp *stamp,
                                 struct arena *arena, struct json **root)
{
    struct json_error why;
    struct buf whole;
    enum status st;

    buf_init(&whole, a->json.len);
    st = answer_write(&whole, a, stamp);
    if (st == ST_OK)
        st = json_parse(arena, buf_span(&whole), JSON_DEPTH_MAX, root, &why);
    buf_release(&whole);
    return st;
}

enum status answer_write_stream(const struct protocol *p, struct buf *out,
                                const struct answer *a, const struct answer_stamp *stamp,
                                bool include_usage, size_t *cursor, size_t budget, bool *done)
{
    struct event_run r = {.out = out,
                          .answer = a,
                          .stamp = stamp,
                          .include_usage = include_usage,
                          .from = *cursor,
                          .end_bytes = out->len + (budget > 0 ? budget : 1)};
    struct json *root;
    struct arena arena;

    arena_init(&arena, 16384, 64 * a->json.len + (1u << 20));
    r.st = parse_stamped(a, stamp, &arena, &root);
    if (r.st == ST_OK)
        p->replay(&r, root);
    arena_release(&arena);
    if (r.st != ST_OK)
        return r.st;
    *cursor = r.next;
    *done = !r.full;
    return ST_OK;
}
