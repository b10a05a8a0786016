/* The format of LMDB 0.9 (lmdb.h: MDB_DATA_VERSION 1), in the words of its mdb.c:
 *
 *   page   pgno:8 pad:2 flags:2 lower:2 upper:2, then offsets of nodes from 16 on;
 *          of an overflow run: pages:4 instead of lower and upper
 *   node   lo:2 hi:2 flags:2 ksize:2, then key and data; in a branch lo, hi, flags are
 *          the number of the child's page, in a leaf lo, hi are the size of the data
 *   meta   pages 0 and 1, from byte 16 on: magic:4 version:4 address:8 mapsize:8, then
 *          two trees (of free pages, of records), last_pg:8 txnid:8
 *   tree   pad:4 flags:2 depth:2 branch:8 leaf:8 overflow:8 entries:8 root:8
 *
 * Numbers are the machine's. What must hold: pages are of the kind and number they
 * should be, nodes lie inside them, keys ascend, each page is used once, and the counts
 * of the meta page are those that were found. Blocks: only at start. */
#include "cache/store_lmdb_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC           0xBEEFC0DEu
#define VERSION         1u
#define PAGE_HEAD_BYTES 16u
#define NODE_HEAD_BYTES 8u
#define META_BYTES      136u
#define TREE_BYTES      48u
#define DEPTH_MAX       32u
#define PAGE_BYTES_MIN  512u
#define PAGE_BYTES_MAX  65536u
#define KEY_BYTES_MAX   511u
#define NO_PAGE         UINT64_MAX
/* Pages that one transaction may hold: MDB_IDL_UM_MAX of LMDB's midl.h. */
#define UNWRITTEN_MAX 131071u

enum {
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    NODE_BIG = 1,
    TREE_INTEGER_KEY = 8,
    ENV_NOSUBDIR = 0x4000
};

struct tree {
    uint32_t page_bytes;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

/* A page on the way down, and the node that comes next. */
struct level {
    unsigned char *page;
    uint64_t number;
    unsigned next, count;
    bool leaf;
};

struct check {
    int fd;
    uint64_t file_bytes;
    size_t page_bytes;
    uint64_t last_page;
    unsigned char *used; /* a bit a page */
    const char *why;

    /* of the tree that is being walked */
    struct tree found;
    bool integer_keys;
    struct level way[DEPTH_MAX];
    unsigned char last[KEY_BYTES_MAX]; /* the key before, or a separator that may equal it */
    size_t last_len;
    bool has_last, last_may_equal;
};

static enum status bad(struct check *c, const char *why)
{
    c->why = why;
    return ST_INVALID;
}

static uint64_t number_at(const unsigned char *p, size_t bytes)
{
    uint16_t n2;
    uint32_t n4;
    uint64_t n8;

    switch (bytes) {
    case 2:
        memcpy(&n2, p, 2);
        return n2;
    case 4:
        memcpy(&n4, p, 4);
        return n4;
    default:
        memcpy(&n8, p, 8);
        return n8;
    }
}

static enum status read_at(struct check *c, uint64_t offset, void *to, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t n =
            pread(c->fd, (char *)to + done, bytes - done, (off_t)(offset + (uint64_t)done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ST_UNAVAILABLE;
        if (n == 0)
            return bad(c, "it ends too early");
        done += (size_t)n;
    }
    return ST_OK;
}

static enum status take_pages(struct check *c, uint64_t number, uint64_t n)
{
    if (number < 2 || number > c->last_page || n > c->last_page - number + 1)
        return bad(c, "a page beyond the end");
    for (uint64_t i = number; i < number + n; i++) {
        unsigned char bit = (unsigned char)(1u << (i & 7));

        if ((c->used[i >> 3] & bit) != 0)
            return bad(c, "a page in two places");
        c->used[i >> 3] |= bit;
    }
    return ST_OK;
}

/* --- keys ---------------------------------------------------------------------------- */

static int compare(const struct check *c, const unsigned char *a, size_t a_len)
{
    size_t n = a_len < c->last_len ? a_len : c->last_len;
    int order;

    if (c->integer_keys) {
        uint64_t x = number_at(a, 8), y = number_at(c->last, 8);

        return (x > y) - (x < y);
    }
    order = memcmp(a, c->last, n);
    return order != 0 ? order : (a_len > c->last_len) - (a_len < c->last_len);
}

/* Ascending through the whole tree; a branch's key is the least that may follow. */
static enum status take_key(struct check *c, const unsigned char *key, size_t len,
                            bool separator)
{
    int order;

    if (len == 0 || len > KEY_BYTES_MAX || (c->integer_keys && len != 8))
        return bad(c, "a key of a wrong size");
    order = c->has_last ? compare(c, key, len) : 1;
    if (order < 0 || (order == 0 && !(c->last_may_equal && !separator)))
        return bad(c, "keys out of order");
    memcpy(c->last, key, len);
    c->last_len = len;
    c->has_last = true;
    c->last_may_equal = separator;
    return ST_OK;
}

/* --- free pages ---------------------------------------------------------------------- */

/* A record of the tree of free pages: how many, then their numbers. */
static enum status take_free_list(struct check *c, const unsigned char *data, size_t len)
{
    uint64_t n = len >= 8 ? number_at(data, 8) : UINT64_MAX;
    enum status st = ST_OK;

    if (n > len / 8 - 1)
        return bad(c, "a list of free pages of a wrong size");
    for (uint64_t i = 1; st == ST_OK && i <= n; i++)
        st = take_pages(c, number_at(data + 8 * i, 8), 1);
    return st;
}

static enum status read_free_run(struct check *c, uint64_t number, size_t len)
{
    unsigned char *data = malloc(len);
    enum status st;

    if (data == NULL)
        return ST_NOMEM;
    st = read_at(c, number * c->page_bytes + PAGE_HEAD_BYTES, data, len);
    if (st == ST_OK)
        st = take_free_list(c, data, len);
    free(data);
    return st;
}

/* --- the walk ------------------------------------------------------------------------ */

static enum status enter_page(struct check *c, unsigned depth, uint64_t number)
{
    struct level *l = &c->way[depth];
    enum status st = take_pages(c, number, 1);
    size_t lower, upper;
    unsigned flags;

    if (st != ST_OK)
        return st;
    if (l->page == NULL && (l->page = malloc(c->page_bytes)) == NULL)
        return ST_NOMEM;
    st = read_at(c, number * c->page_bytes, l->page, c->page_bytes);
    if (st != ST_OK)
        return st;
    flags = (unsigned)number_at(l->page + 10, 2);
    lower = (size_t)number_at(l->page + 12, 2);
    upper = (size_t)number_at(l->page + 14, 2);
    if (c->page_bytes == PAGE_BYTES_MAX && upper == 0)
        upper = PAGE_BYTES_MAX;
    if (number_at(l->page, 8) != number || (flags != PAGE_BRANCH && flags != PAGE_LEAF))
        return bad(c, "a page of another kind");
    if (lower < PAGE_HEAD_BYTES || lower > upper || upper > c->page_bytes || lower % 2 != 0)
        return bad(c, "a page with wrong bounds");
    l->number = number;
    l->next = 0;
    l->count = (unsigned)(lower - PAGE_HEAD_BYTES) / 2;
    l->leaf = flags == PAGE_LEAF;
    c->found.leaves += l->leaf;
    c->found.branches += !l->leaf;
    if (l->leaf != (depth + 1 == c->found.depth) ||
        l->count < (l->leaf || c->integer_keys ? 1u : 2u))
        return bad(c, "a tree of a wrong shape");
    return ST_OK;
}

/* A value on pages of its own. The head of their first is what removing it goes by. */
static enum status take_big(struct check *c, const unsigned char *at, size_t len)
{
    uint64_t number = number_at(at, 8);
    uint64_t pages = (PAGE_HEAD_BYTES - 1 + (uint64_t)len) / c->page_bytes + 1;
    enum status st = take_pages(c, number, pages);

    c->found.overflows += pages;
    if (st == ST_OK && number + pages > c->file_bytes / c->page_bytes)
        return bad(c, "it ends too early");
    return st == ST_OK && c->integer_keys ? read_free_run(c, number, len) : st;
}

static enum status take_leaf(struct check *c, const unsigned char *node, size_t room)
{
    size_t key = (size_t)number_at(node + 6, 2);
    size_t len = (size_t)(number_at(node, 2) | number_at(node + 2, 2) << 16);
    unsigned flags = (unsigned)number_at(node + 4, 2);
    bool big = flags == NODE_BIG;
    enum status st;

    if ((flags != 0 && !big) || NODE_HEAD_BYTES + key + (big ? 8 : len) > room)
        return bad(c, "a record beyond its page");
    st = take_key(c, node + NODE_HEAD_BYTES, key, false);
    if (st != ST_OK)
        return st;
    c->found.entries++;
    if (big)
        return take_big(c, node + NODE_HEAD_BYTES + key, len);
    return c->integer_keys ? take_free_list(c, node + NODE_HEAD_BYTES + key, len) : ST_OK;
}

/* The node that comes next at this depth; a branch's leads one deeper. */
static enum status step(struct check *c, unsigned *depth)
{
    struct level *l = &c->way[*depth];
    unsigned index = l->next++;
    size_t at = (size_t)number_at(l->page + PAGE_HEAD_BYTES + 2 * (size_t)index, 2), key;
    const unsigned char *node = l->page + at;
    enum status st = ST_OK;

    if (at < PAGE_HEAD_BYTES + 2 * (size_t)l->count || at % 2 != 0 ||
        at + NODE_HEAD_BYTES > c->page_bytes)
        return bad(c, "a record outside of its page");
    if (l->leaf)
        return take_leaf(c, node, c->page_bytes - at);
    key = (size_t)number_at(node + 6, 2);
    if (NODE_HEAD_BYTES + key > c->page_bytes - at)
        return bad(c, "a key beyond its page");
    if (index > 0) /* the first has none that counts */
        st = take_key(c, node + NODE_HEAD_BYTES, key, true);
    if (st != ST_OK)
        return st;
    if (++*depth >= c->found.depth)
        return bad(c, "a tree of a wrong shape");
    return enter_page(c, *depth,
                      number_at(node, 2) | number_at(node + 2, 2) << 16 |
                          number_at(node + 4, 2) << 32);
}

static enum status walk(struct check *c, const struct tree *t)
{
    unsigned depth = 0;
    enum status st;

    c->found = (struct tree){.depth = t->depth};
    c->has_last = false;
    if (t->root == NO_PAGE)
        return t->depth == 0 && t->entries == 0 ? ST_OK : bad(c, "a tree without its root");
    if (t->depth == 0 || t->depth > DEPTH_MAX)
        return bad(c, "a tree of a wrong shape");
    st = enter_page(c, 0, t->root);
    while (st == ST_OK) {
        if (c->way[depth].next < c->way[depth].count)
            st = step(c, &depth);
        else if (depth-- == 0)
            break;
    }
    if (st == ST_OK && (c->found.branches != t->branches || c->found.leaves != t->leaves ||
                        c->found.overflows != t->overflows || c->found.entries != t->entries))
        return bad(c, "counts that are not those of its pages");
    return st;
}

/* --- the meta pages ------------------------------------------------------------------ */

static void read_tree(const unsigned char *p, struct tree *t)
{
    *t = (struct tree){.page_bytes = (uint32_t)number_at(p, 4),
                       .flags = (uint16_t)number_at(p + 4, 2),
                       .depth = (uint16_t)number_at(p + 6, 2),
                       .branches = number_at(p + 8, 8),
                       .leaves = number_at(p + 16, 8),
                       .overflows = number_at(p + 24, 8),
                       .entries = number_at(p + 32, 8),
                       .root = number_at(p + 40, 8)};
}

static bool is_meta(const unsigned char *m)
{
    return number_at(m, 4) == MAGIC && number_at(m + 4, 4) == VERSION;
}

static uint64_t transaction_of(const unsigned char *m)
{
    return number_at(m + 24 + 2 * TREE_BYTES + 8, 8);
}

static enum status check_meta(struct check *c, const unsigned char *m)
{
    struct tree free_pages, records;
    enum status st;

    read_tree(m + 24, &free_pages);
    read_tree(m + 24 + TREE_BYTES, &records);
    c->last_page = number_at(m + 24 + 2 * TREE_BYTES, 8);
    /* The flags of the environment are kept beside those of this tree. */
    if ((free_pages.flags & ~ENV_NOSUBDIR) != TREE_INTEGER_KEY || records.flags != 0)
        return bad(c, "a tree of another kind");
    /* Pages that a transaction took and gave back are free and were never written: the file may
     * end before them. What is in use must be there (read_at(), take_big()). */
    if (c->last_page >= c->file_bytes / c->page_bytes + UNWRITTEN_MAX)
        return bad(c, "it ends too early");
    c->used = calloc((size_t)(c->last_page / 8 + 1), 1);
    if (c->used == NULL)
        return ST_NOMEM;
    c->integer_keys = true;
    st = walk(c, &free_pages);
    c->integer_keys = false;
    return st == ST_OK ? walk(c, &records) : st;
}

/* Both meta pages must be whole: LMDB goes by the one with the later transaction. */
static enum status check_file(struct check *c)
{
    unsigned char meta[2][META_BYTES];
    struct tree first;
    enum status st = read_at(c, PAGE_HEAD_BYTES, meta[0], META_BYTES);

    if (st != ST_OK)
        return st;
    if (!is_meta(meta[0]))
        return bad(c, "it is no database of this kind");
    read_tree(meta[0] + 24, &first);
    c->page_bytes = first.page_bytes;
    if (c->page_bytes < PAGE_BYTES_MIN || c->page_bytes > PAGE_BYTES_MAX ||
        (c->page_bytes & (c->page_bytes - 1)) != 0)
        return bad(c, "pages of a wrong size");
    st = read_at(c, c->page_bytes + PAGE_HEAD_BYTES, meta[1], META_BYTES);
    if (st != ST_OK)
        return st;
    read_tree(meta[1] + 24, &first);
    if (!is_meta(meta[1]) || first.page_bytes != c->page_bytes)
        return bad(c, "its two heads do not agree");
    return check_meta(c, meta[transaction_of(meta[1]) > transaction_of(meta[0])]);
}

enum status store_lmdb_check(const char *path, const char **why)
{
    struct check c = {.fd = open(path, O_RDONLY | O_CLOEXEC), .why = ""};
    struct stat info;
    enum status st = ST_UNAVAILABLE;

    if (c.fd < 0)
        return errno == ENOENT ? ST_OK : ST_UNAVAILABLE;
    if (fstat(c.fd, &info) == 0) {
        c.file_bytes = (uint64_t)info.st_size;
        st = c.file_bytes == 0 ? ST_OK : check_file(&c);
    }
    close(c.fd);
    free(c.used);
    for (size_t i = 0; i < DEPTH_MAX; i++)
        free(c.way[i].page);
    *why = c.why;
    return st;
}
