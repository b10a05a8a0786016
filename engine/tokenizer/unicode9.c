#include "engine/tokenizer/unicode9.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/unicode.h"

/* What moves before other marks, or is part of a composition, and came after Unicode 9:
 * found by asking `tokenizers` 0.23 about every code point. */
static const struct unicode_range later[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
    {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27},
    {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
    {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
    {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943},
    {0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99},
    {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42},
    {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
    {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}};

static bool is_later(uint32_t c)
{
    return unicode_in_ranges(later, ARRAY_LEN(later), c);
}

/* What stands between two of them is composed by itself. */
enum status unicode9_compose(struct span s, struct buf *out)
{
    size_t start = 0, at = 0;
    enum status st = ST_OK;

    while (st == ST_OK && at < s.len) {
        size_t before = at;
        uint32_t c;

        if (!unicode_next(s, &at, &c))
            return ST_INVALID;
        if (!is_later(c))
            continue;
        st = unicode_compose((struct span){s.ptr + start, before - start}, out);
        if (st == ST_OK)
            st = buf_append(out, (struct span){s.ptr + before, at - before});
        start = at;
    }
    return st == ST_OK && start < s.len
               ? unicode_compose((struct span){s.ptr + start, s.len - start}, out)
               : st;
}
