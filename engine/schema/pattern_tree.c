#include "engine/schema/pattern_tree.h"

#include <string.h>

#include "base/unicode.h"

#define REGEX_MAX  2048 /* bytes */
#define DEPTH_MAX  64   /* groups within groups */
#define REPEAT_MAX 1000
#define RANGES_MAX 256 /* of a class */
#define LAST       0x10ffffu

struct reader {
    struct arena *arena;
    struct span left; /* to be read */
    unsigned depth;
    const char *why;
    enum status st;
};

static struct tree *no(struct reader *r, const char *why)
{
    if (r->st == ST_OK) {
        r->st = ST_INVALID;
        r->why = why;
    }
    return NULL;
}

static struct tree *new_tree(struct reader *r, struct tree t)
{
    struct tree *p = r->st == ST_OK ? ARENA_NEW(r->arena, struct tree) : NULL;

    if (p == NULL) {
        if (r->st == ST_OK) {
            r->st = ST_LIMIT;
            r->why = "is too large";
        }
        return NULL;
    }
    *p = t;
    return p;
}

static void skip(struct reader *r, size_t n)
{
    r->left = (struct span){r->left.ptr + n, r->left.len - n};
}

static bool next_is(const struct reader *r, const char *text)
{
    size_t n = strlen(text);

    return r->left.len >= n && memcmp(r->left.ptr, text, n) == 0;
}

static bool take(struct reader *r, const char *text)
{
    if (!next_is(r, text))
        return false;
    skip(r, strlen(text));
    return true;
}

static uint32_t take_character(struct reader *r)
{
    uint32_t c = 0;
    size_t n = 0;

    if (!unicode_next(r->left, &n, &c)) {
        no(r, "ends too early");
        return 0;
    }
    skip(r, n);
    return c;
}

/* --- classes ---------------------------------------------------------------------------- */

struct class
{
    struct tree_range list[RANGES_MAX];
    uint32_t count;
};

static void add(struct reader *r, struct class *c, uint32_t from, uint32_t to)
{
    if (c->count == RANGES_MAX)
        no(r, "is too large");
    else
        c->list[c->count++] = (struct tree_range){from, to};
}

/* In order, apart. */
static void settle(struct class *c)
{
    uint32_t n = 0;

    for (uint32_t i = 1; i < c->count; i++) {
        struct tree_range x = c->list[i];
        uint32_t at = i;

        for (; at > 0 && c->list[at - 1].from > x.from; at--)
            c->list[at] = c->list[at - 1];
        c->list[at] = x;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (n > 0 && c->list[i].from <= c->list[n - 1].to + 1) {
            if (c->list[i].to > c->list[n - 1].to)
                c->list[n - 1].to = c->list[i].to;
        } else {
            c->list[n++] = c->list[i];
        }
    }
    c->count = n;
}

static void turn_over(struct reader *r, struct class *c)
{
    struct class not = {.count = 0};
    uint32_t from = 0;

    settle(c);
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->list[i].from > from)
            add(r, &not, from, c->list[i].from - 1);
        from = c->list[i].to + 1;
    }
    if (from <= LAST)
        add(r, &not, from, LAST);
    *c = not ;
}

/* \d, \w, \s and their opposites. */
static bool add_set(struct reader *r, struct class *c, uint32_t name)
{
    struct class set = {.count = 0};

    switch (name | 0x20) {
    case 'd':
        add(r, &set, '0', '9');
        break;
    case 'w':
        add(r, &set, '0', '9');
        add(r, &set, 'A', 'Z');
        add(r, &set, '_', '_');
        add(r, &set, 'a', 'z');
        break;
    case 's':
        add(r, &set, 9, 13);
        add(r, &set, ' ', ' ');
        add(r, &set, 0xa0, 0xa0);
        add(r, &set, 0x1680, 0x1680);
        add(r, &set, 0x2000, 0x200a);
        add(r, &set, 0x2028, 0x2029);
        add(r, &set, 0x202f, 0x202f);
        add(r, &set, 0x205f, 0x205f);
        add(r, &set, 0x3000, 0x3000);
        add(r, &set, 0xfeff, 0xfeff);
        break;
    default:
        return false;
    }
    if ((name & 0x20) == 0)
        turn_over(r, &set);
    for (uint32_t i = 0; i < set.count; i++)
        add(r, c, set.list[i].from, set.list[i].to);
    return true;
}

static uint32_t take_hex(struct reader *r, unsigned digits)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < digits; i++) {
        uint32_t c = take_character(r), low = c | 0x20;

        if (c >= '0' && c <= '9')
            v = v * 16 + c - '0';
        else if (low >= 'a' && low <= 'f')
            v = v * 16 + low - 'a' + 10;
        else
            no(r, "has a \\x or \\u without its digits");
    }
    return v;
}

/* Behind a backslash, of what is one character. */
static uint32_t escaped(struct reader *r, uint32_t c)
{
    static const char controls[][2] = {
        {'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'f', '\f'}, {'v', '\v'}};

    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        if (c == (uint32_t)controls[i][0])
            return (uint32_t)controls[i][1];
    }
    if (c == 'x')
        return take_hex(r, 2);
    if (c == 'u')
        return take_hex(r, 4);
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        no(r, "has an escape that is not supported (\\b, \\p, a reference)");
    return c;
}

/* One character of a class, or a set; false: it was a set. */
static bool class_item(struct reader *r, struct class *c, uint32_t *out)
{
    *out = take_character(r);
    if (*out != '\\')
        return true;
    *out = take_character(r);
    if (add_set(r, c, *out))
        return false;
    *out = *out == 'b' ? '\b' : *out == '-' ? '-' : escaped(r, *out);
    return true;
}

static struct tree *class_tree(struct reader *r, struct class *c)
{
    struct tree_range *list;

    settle(c);
    list = arena_alloc(r->arena, (c->count + 1) * sizeof(*list), _Alignof(struct tree_range));
    if (list == NULL)
        return no(r, "is too large");
    memcpy(list, c->list, c->count * sizeof(*list));
    return new_tree(r, (struct tree){.kind = TREE_CLASS, .ranges = list, .count = c->count});
}

static struct tree *read_class(struct reader *r)
{
    struct class c = {.count = 0};
    bool other = take(r, "^");

    while (r->st == ST_OK && !take(r, "]")) {
        uint32_t from, to;

        if (!class_item(r, &c, &from))
            continue;
        to = from;
        if (next_is(r, "-") && !next_is(r, "-]")) {
            (void)take(r, "-");
            if (!class_item(r, &c, &to)) {
                add(r, &c, '-', '-');
                to = from;
            }
        }
        if (to < from)
            return no(r, "has a range that ends before it begins");
        add(r, &c, from, to);
    }
    if (other)
        turn_over(r, &c);
    return class_tree(r, &c);
}

static struct tree *one(struct reader *r, uint32_t from, uint32_t to)
{
    struct class c = {.count = 0};

    add(r, &c, from, to);
    return class_tree(r, &c);
}

bool pattern_tree_has(const struct tree *t, uint32_t c)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (c >= t->ranges[i].from && c <= t->ranges[i].to)
            return true;
    }
    return false;
}

/* --- all of it ---------------------------------------------------------------------------- */

static struct tree *read_either(struct reader *r);

static struct tree *read_group(struct reader *r)
{
    struct tree *t;

    if (take(r, "?<") && !next_is(r, "=") && !next_is(r, "!")) {
        while (r->st == ST_OK && take_character(r) != '>') {
        }
    } else if (!take(r, "?:") && (next_is(r, "?") || next_is(r, "=") || next_is(r, "!"))) {
        return no(r, "looks around, which is not supported");
    }
    if (++r->depth > DEPTH_MAX)
        return no(r, "is too deep");
    t = read_either(r);
    r->depth--;
    if (r->st == ST_OK && !take(r, ")"))
        return no(r, "has a group without its end");
    return t;
}

static struct tree *read_dot(struct reader *r)
{
    struct class c = {.count = 0};

    add(r, &c, '\n', '\n');
    add(r, &c, '\r', '\r');
    add(r, &c, 0x2028, 0x2029);
    turn_over(r, &c);
    return class_tree(r, &c);
}

static struct tree *read_atom(struct reader *r)
{
    struct class set = {.count = 0};
    uint32_t c = take_character(r);

    switch (c) {
    case '(':
        return read_group(r);
    case '[':
        return read_class(r);
    case '.':
        return read_dot(r);
    case '^':
    case '$':
        return no(r, "has an anchor in its middle, which is not supported");
    case '*':
    case '+':
    case '?':
    case ')':
        return no(r, "repeats nothing, or ends a group that has not begun");
    case '\\':
        c = take_character(r);
        if (add_set(r, &set, c))
            return class_tree(r, &set);
        c = escaped(r, c);
        return one(r, c, c);
    default:
        return one(r, c, c);
    }
}

static uint32_t take_count(struct reader *r)
{
    uint32_t n = 0;

    if (r->left.len == 0 || r->left.ptr[0] < '0' || r->left.ptr[0] > '9')
        no(r, "has a { without a count");
    while (r->left.len > 0 && r->left.ptr[0] >= '0' && r->left.ptr[0] <= '9') {
        n = n * 10 + (uint32_t)(r->left.ptr[0] - '0');
        skip(r, 1);
        if (n > REPEAT_MAX) {
            no(r, "repeats more than 1000 times");
            return 0;
        }
    }
    return n;
}

static bool read_times(struct reader *r, uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = TREE_ENDLESS;
    if (take(r, "*"))
        return true;
    if (take(r, "+")) {
        *least = 1;
        return true;
    }
    if (take(r, "?")) {
        *most = 1;
        return true;
    }
    if (!take(r, "{"))
        return false;
    *least = *most = take_count(r);
    if (take(r, ","))
        *most = next_is(r, "}") ? TREE_ENDLESS : take_count(r);
    if (!take(r, "}") || *most < *least)
        no(r, "has a { without its end, or counts backwards");
    return true;
}

static struct tree *read_piece(struct reader *r)
{
    struct tree *t = read_atom(r);
    uint32_t least, most;

    while (r->st == ST_OK && read_times(r, &least, &most)) {
        (void)take(r, "?"); /* lazy: the same texts */
        t = new_tree(r,
                     (struct tree){.kind = TREE_REPEAT, .a = t, .least = least, .most = most});
    }
    return t;
}

/* Pieces one behind the other. At the top of the tree they may be anchored. */
static struct tree *read_pieces(struct reader *r, bool *end)
{
    struct tree *t = new_tree(r, (struct tree){.kind = TREE_EMPTY});

    while (r->st == ST_OK && r->left.len > 0 && !next_is(r, "|") && !next_is(r, ")")) {
        if (end != NULL && next_is(r, "$") &&
            (r->left.len == 1 || (r->left.len > 1 && r->left.ptr[1] == '|'))) {
            *end = take(r, "$");
            break;
        }
        t = new_tree(r, (struct tree){.kind = TREE_THEN, .a = t, .b = read_piece(r)});
    }
    return t;
}

static struct tree *read_either(struct reader *r)
{
    struct tree *t = read_pieces(r, NULL);

    while (r->st == ST_OK && take(r, "|"))
        t = new_tree(r, (struct tree){.kind = TREE_OR, .a = t, .b = read_pieces(r, NULL)});
    return t;
}

/* Any characters: what stands beside a text that is not anchored there. */
static struct tree *anything(struct reader *r)
{
    return new_tree(
        r, (struct tree){.kind = TREE_REPEAT, .a = one(r, 0, LAST), .most = TREE_ENDLESS});
}

static struct tree *read_top(struct reader *r)
{
    struct tree *all = NULL;

    do {
        bool begin = take(r, "^"), end = false;
        struct tree *t = read_pieces(r, &end);

        if (!begin)
            t = new_tree(r, (struct tree){.kind = TREE_THEN, .a = anything(r), .b = t});
        if (!end)
            t = new_tree(r, (struct tree){.kind = TREE_THEN, .a = t, .b = anything(r)});
        all = all == NULL ? t : new_tree(r, (struct tree){.kind = TREE_OR, .a = all, .b = t});
    } while (r->st == ST_OK && take(r, "|"));
    if (r->st == ST_OK && r->left.len > 0)
        return no(r, "ends a group that has not begun");
    return all;
}

enum status pattern_tree_parse(struct arena *arena, struct span regex, struct tree **out,
                               const char **why)
{
    struct reader r = {.arena = arena, .left = regex};

    *out = NULL;
    if (regex.len > REGEX_MAX) {
        *why = "is longer than 2048 bytes";
        return ST_LIMIT;
    }
    *out = read_top(&r);
    *why = r.why;
    return r.st;
}
