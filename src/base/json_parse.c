/* Text -> tree, in one pass from left to right. It works in situ on a copy in the arena:
 * strings and numbers stay where they were, decoded, and nothing is copied twice. The copy
 * ends with bytes of zero, which no rule takes, so nowhere is the end looked for. What is
 * open is a list of levels and not the stack: depth is data. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scan.h"
#include "base/unicode.h"

/* Up to here comparing each with each is cheaper than sorting. */
#define FEW_MEMBERS 12
#define PADDING     (2 * SCAN_AHEAD)
/* With no more digits, and none of three digits as exponent, a number fits a double. */
#define DOUBLE_DIGITS 300
/* Nodes are taken from the arena so many at a time. */
#define NODES 16

/* An array or object that is open. */
struct level {
    struct json *value;
    struct json *last; /* newest member */
    bool alike;        /* two of one bit (json_key_bit()): they may be the same */
};

struct reader {
    struct arena *arena; /* borrowed */
    char *text, *end;    /* the copy, in the arena */
    char *at;            /* what comes next */
    unsigned depth, depth_max;
    struct json *root;
    struct json *node; /* the next of those taken */
    unsigned nodes;    /* left of them */
    enum status st;
    struct json_error *err;
    struct level levels[JSON_DEPTH_MAX];
};

/* --- trouble -------------------------------------------------------------------------- */

static bool fail(struct reader *r, const char *where, const char *why)
{
    r->st = ST_INVALID;
    r->err->offset = (size_t)(where - r->text);
    if (where >= r->end)
        why = "it ends too early";
    snprintf(r->err->text, sizeof(r->err->text), "broken JSON at byte %zu: %s", r->err->offset,
             why);
    return false;
}

static bool fail_limit(struct reader *r, enum status st, const char *why)
{
    r->st = st;
    r->err->offset = (size_t)(r->at - r->text);
    snprintf(r->err->text, sizeof(r->err->text), "%s", why);
    return false;
}

static bool fail_duplicate(struct reader *r, struct span key)
{
    r->st = ST_INVALID;
    r->err->offset = (size_t)(key.ptr - r->text);
    snprintf(r->err->text, sizeof(r->err->text), "duplicate key '%.*s'",
             (int)(key.len < 64 ? key.len : 64), key.ptr);
    return false;
}

/* --- strings -------------------------------------------------------------------------- */

/* Four hexadecimal digits; more than 16 bits when they are none. */
static uint32_t hex4(const char *p)
{
    uint32_t n = 0;

    for (size_t i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            n = n << 4 | (uint32_t)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            n = n << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return UINT32_MAX; /* looks at nothing behind it */
    }
    return n;
}

/* "\uXXXX" at *from, or a pair of them (RFC 8259 7). Half of a pair has no UTF-8: taken for
 * U+FFFD two different texts would be one. */
static bool decode_hex(struct reader *r, char **from, char **to)
{
    const char *p = *from;
    uint32_t c = hex4(p + 2), low;

    if (c > 0xffff)
        return fail(r, p, "\\u wants four hexadecimal digits");
    *from += 6;
    if (c >= 0xd800 && c < 0xe000) {
        low = c < 0xdc00 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : 0;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(r, p, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        *from += 6;
    }
    *to += unicode_put(c, *to); /* never longer than the escape */
    return true;
}

/* The escape at *from becomes bytes at *to. */
static bool decode_escape(struct reader *r, char **from, char **to)
{
    static const char decoded[] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    unsigned char c = (unsigned char)(*from)[1];

    if (c == 'u')
        return decode_hex(r, from, to);
    if (c >= sizeof(decoded) || decoded[c] == 0)
        return fail(r, *from + 1, "no such escape");
    *(*to)++ = decoded[c];
    *from += 2;
    return true;
}

/* From behind the opening quote to behind the closing one; decoded where it stands. */
static bool read_string(struct reader *r, struct span *out)
{
    char *begin = r->at, *from = begin, *to;
    bool high = false;
    size_t n = scan_string(from, &high);

    to = from += n;
    while (*from == '\\') {
        if (!decode_escape(r, &from, &to))
            return false;
        n = scan_string(from, &high);
        memmove(to, from, n);
        to += n;
        from += n;
    }
    if (*from != '"')
        return fail(r, from, "a control character in a string");
    r->at = from + 1;
    *out = (struct span){begin, (size_t)(to - begin)};
    /* No escape ends in the middle of a character, so what is decoded may be judged. */
    n = high ? unicode_valid_prefix(*out) : out->len;
    return n == out->len || fail(r, begin + n, "not UTF-8");
}

/* --- numbers and words ---------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char *skip_digits(char *p)
{
    while (is_digit(*p))
        p++;
    return p;
}

static bool read_number(struct reader *r, struct span *out)
{
    char *p = r->at, *exponent = NULL;

    p += *p == '-';
    if (!is_digit(*p))
        return fail(r, p, "a number wants digits");
    p = *p == '0' ? p + 1 : skip_digits(p);
    if (*p == '.') {
        if (!is_digit(*++p))
            return fail(r, p, "a number wants digits behind its point");
        p = skip_digits(p);
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return fail(r, p, "a number wants digits in its exponent");
        exponent = p;
        p = skip_digits(p);
    }
    *out = (struct span){r->at, (size_t)(p - r->at)};
    if ((out->len > DOUBLE_DIGITS || (exponent != NULL && p - exponent > 2)) &&
        !isfinite(strtod(r->at, NULL)))
        return fail(r, r->at, "a number too big for a double");
    r->at = p;
    return true;
}

static bool read_word(struct reader *r, struct span word)
{
    /* Behind the end there are zeros. */
    if (memcmp(r->at, word.ptr, word.len) != 0)
        return fail(r, r->at, "not a value");
    r->at += word.len;
    return true;
}

/* --- the tree ------------------------------------------------------------------------- */

static void skip_space(struct reader *r)
{
    char *p = r->at;

    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    r->at = p;
}

static struct json *take_node(struct reader *r)
{
    if (r->nodes == 0) {
        r->node = arena_alloc(r->arena, NODES * sizeof(struct json), _Alignof(struct json));
        if (r->node == NULL)
            return NULL;
        r->nodes = NODES;
    }
    r->nodes--;
    return r->node++;
}

/* A new member of what is open. */
static struct json *add(struct reader *r, enum json_type type, struct span key,
                        struct span text)
{
    struct json *v = take_node(r);
    struct level *l;

    if (v == NULL) {
        fail_limit(r, ST_LIMIT, "too large");
        return NULL;
    }
    *v = (struct json){.type = type,
                       .key = key,
                       .text = text,
                       .at = text.ptr != NULL ? (size_t)(text.ptr - r->text) : 0};
    if (r->depth == 0) {
        r->root = v;
        return v;
    }
    l = &r->levels[r->depth - 1];
    *(l->last == NULL ? &l->value->child : &l->last->next) = v;
    l->last = v;
    l->value->count++;
    return v;
}

static bool open_level(struct reader *r, enum json_type type, struct span key)
{
    struct json *v;

    if (r->depth >= r->depth_max) {
        char why[64];

        snprintf(why, sizeof(why), "nested deeper than %u levels", r->depth_max);
        return fail_limit(r, ST_LIMIT, why);
    }
    v = add(r, type, key, (struct span){NULL, 0});
    if (v == NULL)
        return false;
    r->levels[r->depth++] = (struct level){.value = v};
    r->at++;
    return true;
}

static int by_key(const void *a, const void *b)
{
    return span_order((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

static bool many_keys_are_unique(struct reader *r, const struct json *object)
{
    const struct json **list = malloc(object->count * sizeof(*list));
    size_t n = 0;
    bool ok = true;

    if (list == NULL)
        return fail_limit(r, ST_NOMEM, "out of memory");
    for (const struct json *v = object->child; v != NULL; v = v->next)
        list[n++] = v;
    qsort(list, n, sizeof(*list), by_key);
    for (size_t i = 1; ok && i < n; i++)
        ok = !span_eq(list[i - 1]->key, list[i]->key) || fail_duplicate(r, list[i]->key);
    free(list);
    return ok;
}

static bool keys_are_unique(struct reader *r, const struct level *l)
{
    if (!l->alike)
        return true;
    if (l->value->count > FEW_MEMBERS)
        return many_keys_are_unique(r, l->value);
    for (const struct json *a = l->value->child; a != NULL; a = a->next) {
        for (const struct json *b = a->next; b != NULL; b = b->next) {
            if (span_eq(a->key, b->key))
                return fail_duplicate(r, b->key);
        }
    }
    return true;
}

/* Up to the colon behind it. */
static bool read_key(struct reader *r, struct span *key)
{
    struct level *l = &r->levels[r->depth - 1];
    uint64_t bit;

    skip_space(r);
    if (*r->at != '"')
        return fail(r, r->at, "a key was expected");
    r->at++;
    if (!read_string(r, key))
        return false;
    bit = json_key_bit(*key);
    l->alike |= (l->value->keys & bit) != 0;
    l->value->keys |= bit;
    skip_space(r);
    if (*r->at != ':')
        return fail(r, r->at, "a colon was expected");
    r->at++;
    return true;
}

/* One without members, or the opening of one that has some. */
static bool read_value(struct reader *r, struct span key)
{
    struct span text = {NULL, 0};
    enum json_type type;
    bool ok;

    skip_space(r);
    switch (*r->at) {
    case '{':
        return open_level(r, JSON_OBJECT, key);
    case '[':
        return open_level(r, JSON_ARRAY, key);
    case '"':
        r->at++;
        type = JSON_STRING;
        ok = read_string(r, &text);
        break;
    case 't':
        type = JSON_TRUE;
        ok = read_word(r, SPAN("true"));
        break;
    case 'f':
        type = JSON_FALSE;
        ok = read_word(r, SPAN("false"));
        break;
    case 'n':
        type = JSON_NULL;
        ok = read_word(r, SPAN("null"));
        break;
    default:
        type = JSON_NUMBER;
        ok = *r->at == '-' || is_digit(*r->at) ? read_number(r, &text)
                                               : fail(r, r->at, "a value was expected");
    }
    return ok && add(r, type, key, text) != NULL;
}

/* Closes what ends here. Then either nothing is open, or a value is due. */
static bool read_ends(struct reader *r)
{
    while (r->depth > 0) {
        const struct level *l = &r->levels[r->depth - 1];
        bool object = l->value->type == JSON_OBJECT;

        skip_space(r);
        if (*r->at != (object ? '}' : ']')) {
            if (l->last == NULL)
                return true; /* its first member */
            if (*r->at != ',')
                return fail(r, r->at, "a comma or the end was expected");
            r->at++;
            return true;
        }
        if (object && !keys_are_unique(r, l))
            return false;
        r->at++;
        r->depth--;
    }
    return true;
}

static bool read_tree(struct reader *r)
{
    do {
        struct span key = {NULL, 0};

        if (r->depth > 0 && r->levels[r->depth - 1].value->type == JSON_OBJECT &&
            !read_key(r, &key))
            return false;
        if (!read_value(r, key) || !read_ends(r))
            return false;
    } while (r->depth > 0);
    skip_space(r);
    return r->at == r->end || fail(r, r->at, "more behind its end");
}

enum status json_parse(struct arena *arena, struct span text, unsigned depth_max,
                       struct json **out, struct json_error *err)
{
    struct reader r;
    char *copy =
        text.len < SIZE_MAX - PADDING ? arena_alloc(arena, text.len + PADDING, 1) : NULL;

    err->offset = 0;
    err->text[0] = '\0';
    if (copy == NULL) {
        snprintf(err->text, sizeof(err->text), "out of memory");
        return ST_NOMEM;
    }
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    memset(copy + text.len, 0, PADDING);
    /* The levels are set as they are opened. */
    r.arena = arena;
    r.text = r.at = copy;
    r.end = copy + text.len;
    r.depth = 0;
    r.depth_max = depth_max;
    r.root = NULL;
    r.nodes = 0;
    r.st = ST_OK;
    r.err = err;
    if (!read_tree(&r))
        return r.st;
    *out = r.root;
    return ST_OK;
}
