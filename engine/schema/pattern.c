/* From the text to a tree, from that to states with several ways out (Thompson 1968), from
 * these to states with one way for each byte (Rabin and Scott 1959), of which those without an
 * end are left out. */
#include "engine/schema/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/unicode.h"
#include "engine/schema/pattern_tree.h"

#define NFA_MAX 4096
#define DFA_MAX 512
#define NONE    UINT16_MAX

/* --- states with several ways out ------------------------------------------------------- */

/* On a byte of from..to to `next`; or, if `fork`, without one to `next` and `other`. */
struct way {
    bool fork, end;
    uint8_t from, to;
    uint16_t next, other;
};

struct nfa {
    struct way *ways; /* [NFA_MAX] */
    uint16_t count;
    bool full;
};

static uint16_t add(struct nfa *n, struct way w)
{
    if (n->count == NFA_MAX) {
        n->full = true;
        return 0;
    }
    n->ways[n->count] = w;
    return n->count++;
}

static uint16_t add_byte(struct nfa *n, uint8_t from, uint8_t to, uint16_t next)
{
    return add(n, (struct way){.from = from, .to = to, .next = next, .other = NONE});
}

static uint16_t add_fork(struct nfa *n, uint16_t a, uint16_t b)
{
    return a == NONE   ? b
           : b == NONE ? a
                       : add(n, (struct way){.fork = true, .next = a, .other = b});
}

/* Characters whose encodings differ in the last `free` bytes only, wholly. */
static uint16_t add_bytes(struct nfa *n, const char *from, const char *to, size_t len,
                          uint16_t next)
{
    for (size_t i = len; i-- > 0;)
        next = add_byte(n, (uint8_t)from[i], (uint8_t)to[i], next);
    return next;
}

/* Characters from..to as runs of bytes, cut where a byte behind begins anew. */
static uint16_t add_range(struct nfa *n, uint32_t from, uint32_t to, uint16_t next)
{
    static const uint32_t lengths[] = {0x7f, 0x7ff, 0xffff, 0x10ffff};
    char a[4], b[4];
    size_t len;

    for (size_t i = 0; i < 3; i++) {
        if (from <= lengths[i] && to > lengths[i])
            return add_fork(n, add_range(n, from, lengths[i], next),
                            add_range(n, lengths[i] + 1, to, next));
    }
    for (unsigned bits = 6; bits <= 18; bits += 6) {
        uint32_t mask = ((uint32_t)1 << bits) - 1;

        if (to < 0x80 || (from & ~mask) == (to & ~mask))
            continue;
        if ((from & mask) != 0)
            return add_fork(n, add_range(n, from, from | mask, next),
                            add_range(n, (from | mask) + 1, to, next));
        if ((to & mask) != mask)
            return add_fork(n, add_range(n, from, (to & ~mask) - 1, next),
                            add_range(n, to & ~mask, to, next));
    }
    len = unicode_put(from, a);
    (void)unicode_put(to, b);
    return add_bytes(n, a, b, len, next);
}

/* from..to without what is not written as itself. */
static uint16_t add_plain(struct nfa *n, uint32_t from, uint32_t to, uint16_t next)
{
    /* Control characters, the quote, the backslash; surrogates are no characters. */
    static const uint32_t gaps[][2] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}, {0xd800, 0xdfff}};
    uint16_t all = NONE;

    for (size_t i = 0; i < ARRAY_LEN(gaps) && from <= to; i++) {
        if (from < gaps[i][0] && to >= gaps[i][0]) {
            all = add_fork(n, add_range(n, from, gaps[i][0] - 1, next), all);
            from = gaps[i][0];
        }
        if (from >= gaps[i][0] && from <= gaps[i][1])
            from = gaps[i][1] + 1;
    }
    return from <= to ? add_fork(n, add_range(n, from, to, next), all) : all;
}

/* NONE: it has no character that can be written. */
static uint16_t add_class(struct nfa *n, const struct tree *t, uint16_t next)
{
    static const char escapes[][2] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\t', 't'},
                                      {'\r', 'r'}, {'\f', 'f'},  {'\b', 'b'}};
    uint16_t all = NONE;

    for (uint32_t i = 0; i < t->count; i++)
        all = add_fork(n, add_plain(n, t->ranges[i].from, t->ranges[i].to, next), all);
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        if (pattern_tree_has(t, (uint32_t)escapes[i][0]))
            all = add_fork(
                n,
                add_byte(n, '\\', '\\',
                         add_byte(n, (uint8_t)escapes[i][1], (uint8_t)escapes[i][1], next)),
                all);
    }
    return all;
}

static uint16_t add_tree(struct nfa *n, const struct tree *t, uint16_t next);

static uint16_t add_repeat(struct nfa *n, const struct tree *t, uint16_t next)
{
    uint16_t all = next;

    if (t->most == TREE_ENDLESS) {
        uint16_t fork = add(n, (struct way){.fork = true, .other = next}), body;

        body = add_tree(n, t->a, fork);
        n->ways[fork].next = body != NONE ? body : next;
        all = fork;
    } else {
        for (uint32_t i = t->least; i < t->most && !n->full; i++)
            all = add_fork(n, add_tree(n, t->a, all), next);
    }
    for (uint32_t i = 0; i < t->least && !n->full && all != NONE; i++)
        all = add_tree(n, t->a, all);
    return all;
}

/* Where a text that matches `t` and then goes on at `next` begins. NONE: there is none. */
static uint16_t add_tree(struct nfa *n, const struct tree *t, uint16_t next)
{
    if (next == NONE || n->full)
        return NONE;
    switch (t->kind) {
    case TREE_EMPTY:
        return next;
    case TREE_CLASS:
        return add_class(n, t, next);
    case TREE_THEN:
        return add_tree(n, t->a, add_tree(n, t->b, next));
    case TREE_OR: {
        uint16_t a = add_tree(n, t->a, next);

        return add_fork(n, a, add_tree(n, t->b, next));
    }
    case TREE_REPEAT:
        return add_repeat(n, t, next);
    }
    return NONE;
}

/* --- states with one way for each byte ---------------------------------------------------- */

struct set {
    uint16_t count, first; /* first: of its members in the list */
    bool end;
};

struct maker {
    const struct nfa *nfa;
    struct set sets[DFA_MAX];
    uint16_t *members, *stack; /* members of all sets, in order of their numbers */
    uint32_t member_count, member_cap;
    uint8_t *seen;
    uint32_t *steps; /* that are left */
    struct pattern *p;
};

static void spend(struct maker *m, uint32_t n)
{
    *m->steps -= n < *m->steps ? n : *m->steps;
}

/* What can be reached from `from` without a byte. */
static void reach(struct maker *m, uint16_t from)
{
    uint32_t n = 0;

    m->stack[n++] = from;
    while (n > 0) {
        uint16_t i = m->stack[--n];
        const struct way *w = &m->nfa->ways[i];

        if (m->seen[i])
            continue;
        spend(m, 1);
        m->seen[i] = 1;
        if (w->fork) {
            m->stack[n++] = w->next;
            m->stack[n++] = w->other;
        }
    }
}

/* The state for what was seen; PATTERN_DEAD: nothing was. false: there is no room. */
static bool state_of(struct maker *m, uint16_t *out)
{
    struct pattern *p = m->p;
    uint32_t first = m->member_count;
    struct set s = {.first = (uint16_t)first};

    if (first + m->nfa->count > m->member_cap)
        return false;
    for (uint16_t i = 0; i < m->nfa->count; i++) {
        if (!m->seen[i])
            continue;
        m->seen[i] = 0;
        if (m->nfa->ways[i].fork)
            continue;
        s.end = s.end || m->nfa->ways[i].end;
        m->members[first + s.count++] = i;
    }
    spend(m, m->nfa->count / 8u + p->states / 8u);
    *out = PATTERN_DEAD;
    if (s.count == 0)
        return true;
    for (uint16_t i = 0; i < p->states; i++) {
        if (m->sets[i].count == s.count &&
            memcmp(m->members + m->sets[i].first, m->members + first,
                   s.count * sizeof(uint16_t)) == 0) {
            *out = i;
            return true;
        }
    }
    if (p->states == DFA_MAX)
        return false;
    m->member_count += s.count;
    m->sets[p->states] = s;
    *out = p->states++;
    return true;
}

/* Bytes where a way of the state begins or ends: between them all lead to the same. */
static void borders(const struct maker *m, const struct set *s, bool begins[257])
{
    memset(begins, 0, 257 * sizeof(*begins));
    begins[0] = true;
    for (uint16_t i = 0; i < s->count; i++) {
        const struct way *w = &m->nfa->ways[m->members[s->first + i]];

        if (!w->end)
            begins[w->from] = begins[w->to + 1] = true;
    }
}

static bool make_state(struct maker *m, uint16_t state)
{
    struct set s = m->sets[state];
    bool begins[257];
    uint16_t to = PATTERN_DEAD;

    borders(m, &s, begins);
    for (unsigned c = 0; c < 256; c++) {
        if (begins[c]) {
            for (uint16_t i = 0; i < s.count; i++) {
                const struct way *w = &m->nfa->ways[m->members[s.first + i]];

                if (!w->end && w->from <= c && w->to >= c)
                    reach(m, w->next);
            }
            spend(m, s.count);
            if (*m->steps == 0 || !state_of(m, &to))
                return false;
        }
        m->p->to[state][c] = to;
    }
    return true;
}

/* One byte further from the ends than was known; false: nothing is. */
static bool relax(struct pattern *p, uint16_t i)
{
    bool nearer = false;

    for (unsigned c = 0; c < 256; c++) {
        uint16_t to = p->to[i][c];

        if (to == PATTERN_DEAD || p->least[to] == UINT32_MAX || p->least[to] + 1 >= p->least[i])
            continue;
        p->least[i] = p->least[to] + 1;
        p->nearest[i] = (uint8_t)c;
        nearer = true;
    }
    return nearer;
}

static void close_dead_ends(struct pattern *p)
{
    for (uint16_t i = 0; i < p->states; i++) {
        for (unsigned c = 0; c < 256; c++) {
            if (p->to[i][c] != PATTERN_DEAD && p->least[p->to[i][c]] == UINT32_MAX)
                p->to[i][c] = PATTERN_DEAD;
        }
    }
}

/* Bytes to the nearest end. Later states mostly are nearer to it, so the last comes first.
 * false: no steps are left. */
static bool measure(struct maker *m)
{
    struct pattern *p = m->p;
    bool more = true;

    for (uint16_t i = 0; i < p->states; i++)
        p->least[i] = m->sets[i].end ? 0 : UINT32_MAX;
    while (more && *m->steps > 0) {
        more = false;
        for (uint16_t i = p->states; i-- > 0;)
            more = relax(p, i) || more;
        spend(m, p->states * 32u);
    }
    close_dead_ends(p);
    return !more;
}

static enum status make(struct maker *m, uint16_t start, const char **why)
{
    struct pattern *p = m->p;
    uint16_t first;

    reach(m, start);
    *why = "is too large";
    if (!state_of(m, &first))
        return ST_LIMIT;
    for (uint16_t i = 0; i < p->states; i++) {
        if (!make_state(m, i))
            return ST_LIMIT;
    }
    if (!measure(m))
        return ST_LIMIT;
    *why = "has no text";
    return p->least[0] != UINT32_MAX ? ST_OK : ST_INVALID;
}

/* --- both --------------------------------------------------------------------------------- */

static struct pattern *new_pattern(void)
{
    struct pattern *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->to = malloc(DFA_MAX * sizeof(*p->to));
    p->least = malloc(DFA_MAX * sizeof(*p->least));
    p->nearest = calloc(DFA_MAX, sizeof(*p->nearest));
    if (p->to != NULL && p->least != NULL && p->nearest != NULL)
        return p;
    pattern_close(p);
    return NULL;
}

/* Most patterns need few of the states. */
static void shrink(struct pattern *p)
{
    void *to = realloc(p->to, p->states * sizeof(*p->to));

    if (to != NULL)
        p->to = to;
}

static enum status make_pattern(const struct nfa *n, uint16_t start, uint32_t *steps,
                                struct pattern **out, const char **why)
{
    struct maker *m = calloc(1, sizeof(*m));
    enum status st = ST_NOMEM;

    *why = "needs more memory than there is";
    if (m == NULL)
        return ST_NOMEM;
    m->nfa = n;
    m->steps = steps;
    m->member_cap = UINT16_MAX;
    m->members = malloc(m->member_cap * sizeof(*m->members));
    /* Each way is on it twice at most, once for each that leads to it. */
    m->stack = malloc((2 * (size_t)n->count + 2) * sizeof(*m->stack));
    m->seen = calloc(n->count, 1);
    m->p = new_pattern();
    if (m->members != NULL && m->stack != NULL && m->seen != NULL && m->p != NULL)
        st = make(m, start, why);
    free(m->members);
    free(m->stack);
    free(m->seen);
    if (st == ST_OK)
        shrink(m->p);
    else
        pattern_close(m->p);
    *out = m->p;
    free(m);
    return st;
}

enum status pattern_open(struct span regex, uint32_t *steps, struct pattern **out,
                         const char **why)
{
    struct nfa n = {.ways = malloc(NFA_MAX * sizeof(struct way))};
    struct arena arena;
    struct tree *tree;
    uint16_t start = NONE;
    enum status st;

    *out = NULL;
    *why = "needs more memory than there is";
    if (n.ways == NULL)
        return ST_NOMEM;
    arena_init(&arena, 16 * 1024, 1024 * 1024);
    st = pattern_tree_parse(&arena, regex, &tree, why);
    if (st == ST_OK) {
        start = add_tree(&n, tree, add(&n, (struct way){.end = true}));
        *why = n.full ? "is too large" : "has no text";
        st = n.full ? ST_LIMIT : start == NONE ? ST_INVALID : ST_OK;
    }
    arena_release(&arena);
    if (st == ST_OK)
        st = make_pattern(&n, start, steps, out, why);
    free(n.ways);
    return st;
}

void pattern_close(struct pattern *p)
{
    if (p == NULL)
        return;
    free(p->to);
    free(p->least);
    free(p->nearest);
    free(p);
}
