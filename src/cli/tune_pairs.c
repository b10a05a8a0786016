#include "cli/tune_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/json_lines.h"
#include "cli/tune_csv.h"

#define TEXTS_MAX_BYTES ((size_t)1 << 30)

static struct span member(const struct json *o, const char *name, const char *other)
{
    struct span s = json_str(json_get(o, span_of(name)));

    return s.ptr != NULL ? s : json_str(json_get(o, span_of(other)));
}

static bool read_label(const struct json *v, bool *same)
{
    uint64_t n;

    if (json_bool(v, same))
        return true;
    *same = json_u64(v, &n) && n == 1;
    return json_u64(v, &n) && n <= 1;
}

static bool add(struct tune_pairs *p, const struct tune_pair *pair)
{
    struct tune_pair copy = *pair;

    if (p->count == p->room) {
        size_t room = p->room * 2 + 256;
        struct tune_pair *grown = realloc(p->pair, room * sizeof(*grown));

        if (grown == NULL)
            return false;
        p->pair = grown;
        p->room = room;
    }
    if (arena_copy(&p->texts, pair->a, &copy.a) != ST_OK ||
        arena_copy(&p->texts, pair->b, &copy.b) != ST_OK)
        return false;
    p->pair[p->count++] = copy;
    return true;
}

static const char *keep(struct tune_pairs *p, const struct tune_pair *pair)
{
    if (p->count == TUNE_PAIRS_MAX)
        return "these are too many pairs: a million at most";
    return add(p, pair) ? NULL : "out of memory";
}

static const char *take_row(void *owner, struct span a, struct span b, struct span same)
{
    struct tune_pair pair = {.a = a, .b = b};

    if (a.len == 0 || b.len == 0)
        return "it needs two texts, 'a' and 'b' (or 'q1' and 'q2')";
    pair.same = span_eq(same, SPAN("true")) || span_eq(same, SPAN("1"));
    if (!pair.same && !span_eq(same, SPAN("false")) && !span_eq(same, SPAN("0")))
        return "'same' must be true or false (or 1 or 0)";
    return keep(owner, &pair);
}

static const char *take_object(void *owner, const struct json *o)
{
    struct tune_pairs *p = owner;
    struct tune_pair pair = {.same = false};

    pair.a = member(o, "a", "q1");
    pair.b = member(o, "b", "q2");
    if (pair.a.ptr == NULL || pair.b.ptr == NULL)
        return "it needs two texts, 'a' and 'b' (or 'q1' and 'q2')";
    if (!read_label(json_get(o, SPAN("same")), &pair.same))
        return "'same' must be true or false (or 1 or 0)";
    return keep(p, &pair);
}

bool tune_pairs_read(const char *path, struct tune_pairs *out)
{
    *out = (struct tune_pairs){.pair = NULL};
    arena_init(&out->texts, 65536, TEXTS_MAX_BYTES);
    if (tune_csv_named(path) ? !tune_csv_read(path, take_row, out)
                             : !json_lines_read(path, take_object, out))
        return false;
    if (out->count == 0)
        fprintf(stderr, "ibid: %s: there are no pairs in it\n", path);
    return out->count > 0;
}

void tune_pairs_release(struct tune_pairs *p)
{
    arena_release(&p->texts);
    free(p->pair);
    p->pair = NULL;
}

bool tune_pairs_add(struct tune_pairs *p, const struct tune_pair *pair)
{
    return p->count < TUNE_PAIRS_MAX && add(p, pair);
}
