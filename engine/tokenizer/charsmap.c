/* The library goes by what readers see as one character (a grapheme cluster): a short one
 * is looked up whole, and else each code point. Of several strings of the map that it
 * begins with, the shortest counts, and takes the place of all of it. */
#include "engine/tokenizer/charsmap.h"

#include <stdint.h>
#include <string.h>

#include "base/unicode.h"

#define UNIT        4
#define CLUSTER_MAX 6 /* bytes from which on a cluster is not looked up whole */

bool charsmap_read(struct span bytes, struct charsmap *out)
{
    uint32_t size;

    *out = (struct charsmap){{"", 0}, {"", 0}};
    if (bytes.len == 0)
        return true;
    if (bytes.len < UNIT)
        return false;
    memcpy(&size, bytes.ptr, sizeof(size));
    if (size % UNIT != 0 || size > bytes.len - UNIT)
        return false;
    out->trie = (struct span){bytes.ptr + UNIT, size};
    out->texts = (struct span){bytes.ptr + UNIT + size, bytes.len - UNIT - size};
    /* So that a text can be read to its NUL without looking where the bytes end. */
    return out->texts.len == 0 || out->texts.ptr[out->texts.len - 1] == '\0';
}

static bool unit_at(const struct charsmap *m, size_t place, uint32_t *out)
{
    if (place >= m->trie.len / UNIT)
        return false;
    memcpy(out, m->trie.ptr + place * UNIT, sizeof(*out));
    return true;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* What the shortest string of the map that `key` begins with becomes. */
static bool find(const struct charsmap *m, struct span key, struct span *out)
{
    size_t place = 0;
    uint32_t unit;

    if (!unit_at(m, 0, &unit))
        return false;
    place ^= offset_of(unit);
    for (size_t i = 0; i < key.len && key.ptr[i] != '\0'; i++) {
        unsigned char c = (unsigned char)key.ptr[i];

        place ^= c;
        if (!unit_at(m, place, &unit) || (unit & (1u << 31 | 0xff)) != c)
            return false;
        place ^= offset_of(unit);
        if ((unit >> 8 & 1) == 0)
            continue;
        if (!unit_at(m, place, &unit) || (unit & ~(1u << 31)) >= m->texts.len)
            return false;
        *out = span_of(m->texts.ptr + (unit & ~(1u << 31)));
        return true;
    }
    return false;
}

static enum status put_each(const struct charsmap *m, struct span cluster, struct buf *out)
{
    enum status st = ST_OK;

    for (size_t at = 0; st == ST_OK && at < cluster.len;) {
        struct span one = {cluster.ptr + at, 0}, text;
        uint32_t c;

        if (!unicode_next(cluster, &at, &c))
            return ST_INVALID;
        one.len = (size_t)(cluster.ptr + at - one.ptr);
        st = buf_append(out, find(m, one, &text) ? text : one);
    }
    return st;
}

static enum status put_cluster(const struct charsmap *m, struct span cluster, struct buf *out)
{
    struct span text;

    if (cluster.len < CLUSTER_MAX && find(m, cluster, &text))
        return buf_append(out, text);
    return put_each(m, cluster, out);
}

enum status charsmap_apply(const struct charsmap *m, struct span text, struct buf *out)
{
    enum status st = ST_OK;
    size_t start = 0;
    int32_t state = 0;
    uint32_t last = 0;

    if (m->trie.len == 0)
        return buf_append(out, text);
    for (size_t at = 0, before; st == ST_OK && at < text.len;) {
        uint32_t c;

        before = at;
        if (!unicode_next(text, &at, &c))
            return ST_INVALID;
        if (before > start && unicode_breaks(last, c, &state)) {
            st = put_cluster(m, (struct span){text.ptr + start, before - start}, out);
            start = before;
        }
        last = c;
    }
    if (st == ST_OK && start < text.len)
        st = put_cluster(m, (struct span){text.ptr + start, text.len - start}, out);
    return st;
}
