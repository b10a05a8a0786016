/* A text stands in a value, which stands in a value, …: a stack of them. Where several
 * schemas may hold it stands in as many stacks. There are not always places for all; those
 * left out only make fewer texts possible. */
#include <stdlib.h>
#include <string.h>

#include "engine/schema/nodes.h"

#define STACKS_MAX 32
#define BLANKS_MAX 40 /* white space in one place */

enum { AT_OPEN, AT_FIRST, AT_NEXT, AT_KEY, AT_COLON, AT_VALUE, AT_AFTER };
/* Of strings: within, in escapes, in characters of several bytes. */
enum {
    IN_TEXT = 1,
    IN_ESCAPE,
    IN_HEX1, /* digits that are missing: 1, 2, 3 */
    IN_HEX2,
    IN_HEX3,
    IN_HEX4,
    IN_HEX3_LOW, /* not those of a surrogate */
    IN_MORE1,    /* bytes that are missing */
    IN_MORE2,
    IN_MORE3,
    IN_E0, /* the next one has bounds of its own (RFC 3629) */
    IN_ED,
    IN_F0,
    IN_F4,
};

struct frame {
    uint32_t node;
    uint8_t state, blanks;
    uint32_t at;     /* array: items that have begun; object: the next member; string: its
                        characters, or the state of its pattern; literals: bytes */
    uint32_t lo, hi; /* literals: those that begin so; object: bytes of the key */
    struct number_part number;
};

struct stack {
    uint32_t depth; /* 0: the text is whole */
    struct frame frames[SCHEMA_DEPTH_MAX + 1];
};

struct set {
    uint32_t count;
    struct stack list[STACKS_MAX];
};

struct schema_walk {
    const struct schema *schema;
    struct set sets[3]; /* where the text stands; two for what is tried */
    struct set *now, *a, *b;
};

static void copy_stack(struct stack *to, const struct stack *from)
{
    to->depth = from->depth;
    memcpy(to->frames, from->frames, from->depth * sizeof(from->frames[0]));
}

static void put(struct set *out, const struct stack *k)
{
    if (out->count < STACKS_MAX)
        copy_stack(&out->list[out->count++], k);
}

static void close_value(struct stack *k, struct set *out)
{
    k->depth--;
    put(out, k);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n';
}

/* --- values begin ---------------------------------------------------------------------------
 */

static struct frame begin(const struct schema *s, uint32_t node)
{
    struct frame f = {.node = node};

    if (s->nodes[node].kind == SCHEMA_LITERALS)
        f.hi = s->nodes[node].as.literals.count;
    return f;
}

static bool has_room(const struct schema *s, const struct stack *k, uint32_t node)
{
    const struct schema_node *n = &s->nodes[node];

    return n->least != SCHEMA_ENDLESS && k->depth + n->depth <= SCHEMA_DEPTH_MAX;
}

static void feed(const struct schema *s, struct stack *k, uint8_t c, struct set *out);

static void push(const struct schema *s, const struct stack *k, uint32_t node, uint8_t c,
                 struct set *out)
{
    struct stack next;

    if (!has_room(s, k, node))
        return;
    copy_stack(&next, k);
    next.frames[next.depth++] = begin(s, node);
    feed(s, &next, c, out);
}

/* Its first byte is c. */
static void begin_value(const struct schema *s, const struct stack *k, uint32_t node, uint8_t c,
                        struct set *out)
{
    const struct schema_node *n = &s->nodes[node];

    if (n->kind != SCHEMA_ANY_OF) {
        push(s, k, node, c, out);
        return;
    }
    for (uint32_t i = 0; i < n->as.any_of.count; i++)
        push(s, k, n->as.any_of.list[i], c, out);
}

/* --- literals, numbers -----------------------------------------------------------------------
 */

static void feed_literals(const struct schema_node *n, struct stack *k, uint8_t c,
                          struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    const struct span *list = n->as.literals.list;
    bool whole;

    while (f->lo < f->hi && (list[f->lo].len <= f->at || (uint8_t)list[f->lo].ptr[f->at] < c))
        f->lo++;
    while (f->hi > f->lo && (uint8_t)list[f->hi - 1].ptr[f->at] > c)
        f->hi--;
    if (f->lo == f->hi)
        return;
    f->at++;
    whole = list[f->lo].len == f->at; /* the shortest comes first */
    if (!whole || f->hi - f->lo > 1)
        put(out, k);
    if (whole)
        close_value(k, out);
}

static void feed_number(const struct schema *s, struct stack *k, uint8_t c, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    const struct number_range *r = &s->nodes[f->node].as.number;

    if (number_go(r, &f->number, (char)c)) {
        put(out, k);
    } else if (number_is_whole(r, &f->number)) {
        /* It had ended before this byte. */
        k->depth--;
        if (k->depth > 0)
            feed(s, k, c, out);
    }
}

/* --- strings
 * ----------------------------------------------------------------------------------- */

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A character has begun with a byte of c..: the state behind it, or 0. */
static uint8_t lead(uint8_t c)
{
    if (c < 0x20)
        return 0;
    if (c < 0x80)
        return IN_TEXT;
    if (c >= 0xc2 && c <= 0xdf)
        return IN_MORE1;
    if (c == 0xe0)
        return IN_E0;
    if (c == 0xed)
        return IN_ED;
    if (c >= 0xe1 && c <= 0xef)
        return IN_MORE2;
    if (c == 0xf0)
        return IN_F0;
    if (c == 0xf4)
        return IN_F4;
    return c >= 0xf1 && c <= 0xf3 ? IN_MORE3 : 0;
}

static uint8_t between(uint8_t c, uint8_t from, uint8_t to, uint8_t state)
{
    return c >= from && c <= to ? state : 0;
}

/* The state behind a byte within a character; 0: it is none. */
static uint8_t inner(uint8_t state, uint8_t c)
{
    switch (state) {
    case IN_ESCAPE:
        return c == 'u' ? IN_HEX4 : c != 0 && strchr("\"\\/bfnrt", c) != NULL ? IN_TEXT : 0;
    case IN_HEX4:
        return !is_hex(c) ? 0 : c == 'd' || c == 'D' ? IN_HEX3_LOW : IN_HEX3;
    case IN_HEX3_LOW:
        return between(c, '0', '7', IN_HEX2);
    case IN_HEX3:
        return is_hex(c) ? IN_HEX2 : 0;
    case IN_HEX2:
        return is_hex(c) ? IN_HEX1 : 0;
    case IN_HEX1:
        return is_hex(c) ? IN_TEXT : 0;
    case IN_MORE1:
        return between(c, 0x80, 0xbf, IN_TEXT);
    case IN_MORE2:
        return between(c, 0x80, 0xbf, IN_MORE1);
    case IN_MORE3:
        return between(c, 0x80, 0xbf, IN_MORE2);
    case IN_E0:
        return between(c, 0xa0, 0xbf, IN_MORE1);
    case IN_ED:
        return between(c, 0x80, 0x9f, IN_MORE1);
    case IN_F0:
        return between(c, 0x90, 0xbf, IN_MORE2);
    case IN_F4:
        return between(c, 0x80, 0x8f, IN_MORE2);
    default:
        return 0;
    }
}

static void feed_pattern(const struct pattern *p, struct stack *k, uint8_t c, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    uint16_t to = p->to[f->at][c];

    /* A bare quote is never within: the pattern has it escaped. But it may be the byte behind
     * a backslash. */
    if (to != PATTERN_DEAD) {
        f->at = to;
        put(out, k);
    } else if (c == '"' && p->least[f->at] == 0) {
        close_value(k, out);
    }
}

static void feed_string(const struct schema_node *n, struct stack *k, uint8_t c,
                        struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    uint32_t most = n->as.string.most;

    if (f->state == 0) {
        f->state = c == '"' ? IN_TEXT : 0;
    } else if (n->as.string.pattern != NULL) {
        feed_pattern(n->as.string.pattern, k, c, out);
        return;
    } else if (f->state != IN_TEXT) {
        f->state = inner(f->state, c);
    } else if (c == '"') {
        if (f->at >= n->as.string.least)
            close_value(k, out);
        return;
    } else {
        if (f->at == most)
            return;
        f->at++;
        f->state = c == '\\' ? IN_ESCAPE : lead(c);
    }
    if (f->state != 0)
        put(out, k);
}

/* --- arrays, objects -------------------------------------------------------------------------
 */

/* White space: a blank, or a line's end and blanks. Behind an item or a member only before the
 * end, which must be allowed there. */
static bool feed_blank(struct stack *k, uint8_t c, bool may_close, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];

    if (!is_blank(c))
        return false;
    if (f->state == AT_AFTER && !may_close)
        return true;
    if (f->blanks == 0 || (f->blanks > 1 && f->blanks < BLANKS_MAX && c == ' ')) {
        f->blanks = f->blanks == 0 ? (c == '\n' ? 2 : 1) : (uint8_t)(f->blanks + 1);
        put(out, k);
    }
    return true;
}

static void go(struct stack *k, uint8_t state, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];

    f->state = state;
    f->blanks = 0;
    put(out, k);
}

static void feed_array(const struct schema *s, struct stack *k, uint8_t c, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    const struct schema_node *n = &s->nodes[f->node];
    uint32_t item = schema_item(n, f->at);
    bool may_close = f->at >= n->as.array.least;
    bool more = f->at < n->as.array.most && item != SCHEMA_ENDLESS && has_room(s, k, item);

    if (f->state == AT_OPEN) {
        if (c == '[')
            go(k, AT_FIRST, out);
    } else if (feed_blank(k, c, may_close, out)) {
        return;
    } else if (c == ']' && f->state != AT_NEXT) {
        if (may_close)
            close_value(k, out);
    } else if (f->state == AT_AFTER) {
        if (c == ',' && more && f->blanks == 0)
            go(k, AT_NEXT, out);
    } else if (more) {
        f->at++;
        f->state = AT_AFTER;
        f->blanks = 0;
        begin_value(s, k, item, c, out);
    }
}

/* Members from `at` on of which the next may be one: up to the first that must be there. */
static uint32_t choices_end(const struct schema_node *n, uint32_t at)
{
    while (at < n->as.object.count && !n->as.object.members[at].required)
        at++;
    return at < n->as.object.count ? at + 1 : at;
}

static bool has_member(const struct schema *s, const struct stack *k,
                       const struct schema_node *n, uint32_t at)
{
    if (n->as.object.other != SCHEMA_ENDLESS)
        return has_room(s, k, n->as.object.other);
    for (uint32_t i = at, end = choices_end(n, at); i < end; i++) {
        if (has_room(s, k, n->as.object.members[i].node))
            return true;
    }
    return false;
}

/* c is the quote of a member's name. */
static void begin_key(const struct schema *s, struct stack *k, uint8_t c, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    const struct schema_node *n = &s->nodes[f->node];
    uint32_t from = f->at;

    f->blanks = 0;
    if (n->as.object.other != SCHEMA_ENDLESS) {
        f->state = AT_COLON;
        if (has_room(s, k, n->as.object.other))
            push(s, k, SCHEMA_KEY, c, out);
        return;
    }
    for (uint32_t i = from, end = choices_end(n, from); i < end && c == '"'; i++) {
        if (!has_room(s, k, n->as.object.members[i].node))
            continue;
        f->at = i;
        f->lo = 1;
        go(k, AT_KEY, out);
    }
}

static uint32_t value_of(const struct schema_node *n, uint32_t at)
{
    return n->as.object.other != SCHEMA_ENDLESS ? n->as.object.other
                                                : n->as.object.members[at].node;
}

static void feed_key(const struct schema_node *n, struct stack *k, uint8_t c, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    struct span key = n->as.object.members[f->at].key;

    if ((uint8_t)key.ptr[f->lo] != c)
        return;
    f->lo++;
    go(k, f->lo == key.len ? AT_COLON : AT_KEY, out);
}

static void feed_object(const struct schema *s, struct stack *k, uint8_t c, struct set *out)
{
    struct frame *f = &k->frames[k->depth - 1];
    const struct schema_node *n = &s->nodes[f->node];
    uint32_t value;

    switch (f->state) {
    case AT_OPEN:
        if (c == '{')
            go(k, AT_FIRST, out);
        return;
    case AT_KEY:
        feed_key(n, k, c, out);
        return;
    case AT_COLON:
        if (c == ':')
            go(k, AT_VALUE, out);
        return;
    default:
        break;
    }
    if (feed_blank(k, c, f->at >= n->as.object.needed, out))
        return;
    if (f->state == AT_VALUE) {
        value = value_of(n, f->at);
        f->at += n->as.object.other == SCHEMA_ENDLESS;
        f->state = AT_AFTER;
        f->blanks = 0;
        begin_value(s, k, value, c, out);
    } else if (c == '}' && f->state != AT_NEXT) {
        if (f->at >= n->as.object.needed)
            close_value(k, out);
    } else if (f->state == AT_AFTER) {
        if (c == ',' && f->blanks == 0 && has_member(s, k, n, f->at))
            go(k, AT_NEXT, out);
    } else {
        begin_key(s, k, c, out);
    }
}

/* Where the text may stand behind c; *k is used up. */
static void feed(const struct schema *s, struct stack *k, uint8_t c, struct set *out)
{
    const struct schema_node *n = &s->nodes[k->frames[k->depth - 1].node];

    switch (n->kind) {
    case SCHEMA_LITERALS:
        feed_literals(n, k, c, out);
        break;
    case SCHEMA_STRING:
        feed_string(n, k, c, out);
        break;
    case SCHEMA_NUMBER:
        feed_number(s, k, c, out);
        break;
    case SCHEMA_ARRAY:
        feed_array(s, k, c, out);
        break;
    case SCHEMA_OBJECT:
        feed_object(s, k, c, out);
        break;
    case SCHEMA_ANY_OF:
        break; /* never on a stack */
    }
}

/* --- a text
 * -------------------------------------------------------------------------------------- */

/* Before the first byte there is a stack for each schema that may hold. */
static void start(struct schema_walk *w)
{
    const struct schema *s = w->schema;
    const struct schema_node *n = &s->nodes[s->root];
    uint32_t one = s->root, count = 1;
    const uint32_t *list = &one;

    if (n->kind == SCHEMA_ANY_OF) {
        list = n->as.any_of.list;
        count = n->as.any_of.count;
    }
    for (uint32_t i = 0; i < count && w->now->count < STACKS_MAX; i++) {
        struct stack *k = &w->now->list[w->now->count];

        k->depth = 0;
        if (!has_room(s, k, list[i]))
            continue;
        k->frames[k->depth++] = begin(s, list[i]);
        w->now->count++;
    }
}

enum status schema_walk_open(const struct schema *s, struct schema_walk **out)
{
    struct schema_walk *w = malloc(sizeof(*w));

    *out = w;
    if (w == NULL)
        return ST_NOMEM;
    w->schema = s;
    w->now = &w->sets[0];
    w->a = &w->sets[1];
    w->b = &w->sets[2];
    w->now->count = 0;
    start(w);
    return ST_OK;
}

void schema_walk_close(struct schema_walk *w)
{
    free(w);
}

/* w->a is where the text stands behind the bytes; none: it may not go on so. */
static bool try_bytes(struct schema_walk *w, struct span bytes)
{
    struct set *from = w->now;

    for (size_t i = 0; i < bytes.len; i++) {
        struct set *to = from == w->a ? w->b : w->a;

        to->count = 0;
        for (uint32_t k = 0; k < from->count; k++) {
            struct stack scratch;

            if (from->list[k].depth == 0)
                continue;
            copy_stack(&scratch, &from->list[k]);
            feed(w->schema, &scratch, (uint8_t)bytes.ptr[i], to);
        }
        if (to->count == 0)
            return false;
        from = to;
    }
    if (from == w->b) {
        w->b = w->a;
        w->a = from;
    }
    return bytes.len > 0;
}

bool schema_walk_may(struct schema_walk *w, struct span bytes)
{
    return try_bytes(w, bytes);
}

void schema_walk_go(struct schema_walk *w, struct span bytes)
{
    struct set *before = w->now;

    if (!try_bytes(w, bytes))
        return;
    w->now = w->a;
    w->a = before;
}

void schema_walk_back(struct schema_walk *w)
{
    struct set *before = w->a;

    w->a = w->now;
    w->now = before;
}

/* A number at the top has no end of its own. */
static bool is_whole(const struct schema *s, const struct stack *k)
{
    const struct frame *f = &k->frames[0];

    if (k->depth == 0)
        return true;
    return k->depth == 1 && s->nodes[f->node].kind == SCHEMA_NUMBER &&
           number_is_whole(&s->nodes[f->node].as.number, &f->number);
}

bool schema_walk_may_end(const struct schema_walk *w)
{
    for (uint32_t i = 0; i < w->now->count; i++) {
        if (is_whole(w->schema, &w->now->list[i]))
            return true;
    }
    return false;
}

bool schema_walk_must_end(const struct schema_walk *w)
{
    for (uint32_t i = 0; i < w->now->count; i++) {
        if (w->now->list[i].depth > 0)
            return false;
    }
    return true;
}

/* --- the way to the end
 * ------------------------------------------------------------------------- */

static enum status end_value(const struct schema *s, uint32_t node, struct buf *out);

static enum status end_literals(const struct schema_node *n, const struct frame *f,
                                struct buf *out)
{
    const struct span *list = n->as.literals.list;
    uint32_t best = f->lo;

    for (uint32_t i = f->lo; i < f->hi; i++) {
        if (list[i].len < list[best].len && list[i].len > f->at)
            best = i;
    }
    return buf_append(out, (struct span){list[best].ptr + f->at, list[best].len - f->at});
}

static enum status end_number(const struct schema_node *n, const struct frame *f,
                              struct buf *out)
{
    static const char bytes[] = "0123456789.-";
    const struct number_range *r = &n->as.number;
    struct number_part p = f->number;
    enum status st = ST_OK;

    while (st == ST_OK && !number_is_whole(r, &p)) {
        size_t i = 0;

        while (i < sizeof(bytes) - 1 && !number_go(r, &p, bytes[i]))
            i++;
        if (i == sizeof(bytes) - 1)
            return ST_INVALID;
        st = buf_append(out, (struct span){bytes + i, 1});
    }
    return st;
}

/* A byte that ends the character sooner. */
static char inner_byte(uint8_t state)
{
    switch (state) {
    case IN_ESCAPE:
        return 'n';
    case IN_HEX1:
    case IN_HEX2:
    case IN_HEX3:
    case IN_HEX4:
    case IN_HEX3_LOW:
        return '0';
    case IN_E0:
        return (char)0xa0;
    case IN_F0:
        return (char)0x90;
    default:
        return (char)0x80;
    }
}

static enum status end_string(const struct schema_node *n, const struct frame *f,
                              struct buf *out)
{
    const struct pattern *p = n->as.string.pattern;
    uint32_t at = f->at;
    enum status st = f->state == 0 ? buf_append(out, SPAN("\"")) : ST_OK;

    if (p != NULL) {
        for (; st == ST_OK && p->least[at] > 0; at = p->to[at][p->nearest[at]])
            st = buf_append(out, (struct span){(const char *)&p->nearest[at], 1});
        return st == ST_OK ? buf_append(out, SPAN("\"")) : st;
    }
    for (uint8_t state = f->state; st == ST_OK && state > IN_TEXT;) {
        char c = inner_byte(state);

        state = inner(state, (uint8_t)c);
        st = buf_append(out, (struct span){&c, 1});
    }
    for (; st == ST_OK && at < n->as.string.least; at++)
        st = buf_append(out, SPAN("."));
    return st == ST_OK ? buf_append(out, SPAN("\"")) : st;
}

static enum status end_array(const struct schema *s, const struct schema_node *n,
                             const struct frame *f, struct buf *out)
{
    enum status st = f->state == AT_OPEN ? buf_append(out, SPAN("[")) : ST_OK;
    bool comma = f->state == AT_AFTER, item = f->state == AT_NEXT;

    for (uint32_t at = f->at; st == ST_OK && (at < n->as.array.least || item); at++) {
        if (comma)
            st = buf_append(out, SPAN(","));
        if (st == ST_OK)
            st = end_value(s, schema_item(n, at), out);
        comma = true;
        item = false;
    }
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

static enum status end_member(const struct schema *s, const struct schema_node *n, uint32_t at,
                              uint32_t from, struct buf *out)
{
    struct span key = n->as.object.members[at].key;
    enum status st = buf_append(out, (struct span){key.ptr + from, key.len - from});

    if (st == ST_OK)
        st = buf_append(out, SPAN(":"));
    return st == ST_OK ? end_value(s, n->as.object.members[at].node, out) : st;
}

/* A member where any may come, or one of those that may. */
static enum status end_next(const struct schema *s, const struct schema_node *n,
                            struct frame *f, struct buf *out)
{
    enum status st;

    if (n->as.object.other != SCHEMA_ENDLESS) {
        st = buf_append(out, SPAN("\"\":"));
        return st == ST_OK ? end_value(s, n->as.object.other, out) : st;
    }
    /* The last of them that has an end: one that must be there, if there is one. */
    f->at = choices_end(n, f->at);
    while (s->nodes[n->as.object.members[f->at - 1].node].least == SCHEMA_ENDLESS)
        f->at--;
    return end_member(s, n, f->at - 1, 0, out);
}

/* The member that has begun: its key, its colon, its value. */
static enum status end_begun(const struct schema *s, const struct schema_node *n,
                             struct frame *f, struct buf *out)
{
    enum status st = f->state == AT_COLON ? buf_append(out, SPAN(":")) : ST_OK;

    if (st != ST_OK)
        return st;
    if (f->state == AT_KEY)
        return end_member(s, n, f->at++, f->lo, out);
    if (f->state == AT_NEXT)
        return end_next(s, n, f, out);
    if (f->state != AT_COLON && f->state != AT_VALUE)
        return ST_OK;
    st = end_value(s, value_of(n, f->at), out);
    f->at += n->as.object.other == SCHEMA_ENDLESS;
    return st;
}

static enum status end_object(const struct schema *s, const struct schema_node *n,
                              const struct frame *from, struct buf *out)
{
    struct frame f = *from;
    enum status st = f.state == AT_OPEN ? buf_append(out, SPAN("{")) : ST_OK;
    bool comma = f.state != AT_OPEN && f.state != AT_FIRST;

    if (st == ST_OK)
        st = end_begun(s, n, &f, out);
    for (; st == ST_OK && f.at < n->as.object.needed; f.at++) {
        if (!n->as.object.members[f.at].required)
            continue;
        if (comma)
            st = buf_append(out, SPAN(","));
        if (st == ST_OK)
            st = end_member(s, n, f.at, 0, out);
        comma = true;
    }
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

static enum status end_frame(const struct schema *s, const struct frame *f, struct buf *out)
{
    const struct schema_node *n = &s->nodes[f->node];

    switch (n->kind) {
    case SCHEMA_LITERALS:
        return end_literals(n, f, out);
    case SCHEMA_STRING:
        return end_string(n, f, out);
    case SCHEMA_NUMBER:
        return end_number(n, f, out);
    case SCHEMA_ARRAY:
        return end_array(s, n, f, out);
    case SCHEMA_OBJECT:
        return end_object(s, n, f, out);
    case SCHEMA_ANY_OF:
        break;
    }
    return ST_INVALID;
}

/* A whole value, of the schema that needs the least: what it holds needs less still. */
static enum status end_value(const struct schema *s, uint32_t node, struct buf *out)
{
    const struct schema_node *n = &s->nodes[node];
    struct frame f;

    for (uint32_t i = 0; n->kind == SCHEMA_ANY_OF && i < n->as.any_of.count; i++) {
        if (s->nodes[n->as.any_of.list[i]].least == n->least) {
            node = n->as.any_of.list[i];
            break;
        }
    }
    f = begin(s, node);
    return end_frame(s, &f, out);
}

enum status schema_walk_ending(const struct schema_walk *w, struct buf *out)
{
    const struct stack *k = &w->now->list[0];
    enum status st = ST_OK;

    if (schema_walk_may_end(w))
        return ST_OK;
    for (uint32_t i = 1; i < w->now->count; i++) {
        if (w->now->list[i].depth < k->depth)
            k = &w->now->list[i];
    }
    for (uint32_t i = k->depth; st == ST_OK && i-- > 0;)
        st = end_frame(w->schema, &k->frames[i], out);
    return st;
}
