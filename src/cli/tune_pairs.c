#include "cli/tune_pairs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define LINE_DEPTH      8
#define TEXTS_MAX_BYTES ((size_t)1 << 30)
#define LINE_ARENA      ((size_t)4 << 20)

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

/* NULL, or what is wrong with the line. */
static const char *take_line(struct tune_pairs *p, struct span line, struct arena *scratch)
{
    struct tune_pair pair = {.same = false};
    struct json_error err;
    struct json *o;

    if (json_parse(scratch, line, LINE_DEPTH, &o, &err) != ST_OK || o->type != JSON_OBJECT)
        return "it is no JSON object";
    pair.a = member(o, "a", "q1");
    pair.b = member(o, "b", "q2");
    if (pair.a.ptr == NULL || pair.b.ptr == NULL)
        return "it needs two texts, 'a' and 'b' (or 'q1' and 'q2')";
    if (!read_label(json_get(o, SPAN("same")), &pair.same))
        return "'same' must be true or false (or 1 or 0)";
    if (p->count == TUNE_PAIRS_MAX)
        return "these are too many pairs: a million at most";
    return add(p, &pair) ? NULL : "out of memory";
}

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

static bool read_lines(FILE *f, const char *path, struct tune_pairs *p)
{
    struct arena scratch;
    const char *why = NULL;
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t n;

    arena_init(&scratch, 65536, LINE_ARENA);
    while (why == NULL && (n = getline(&line, &room, f)) > 0) {
        number++;
        if (!is_blank(line))
            why = take_line(p, (struct span){line, (size_t)n}, &scratch);
        arena_reset(&scratch);
    }
    if (why != NULL)
        fprintf(stderr, "ibid: %s: line %zu: %s\n", path, number, why);
    else if (p->count == 0)
        fprintf(stderr, "ibid: %s: there are no pairs in it\n", path);
    free(line);
    arena_release(&scratch);
    return why == NULL && p->count > 0;
}

bool tune_pairs_read(const char *path, struct tune_pairs *out)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool ok;

    *out = (struct tune_pairs){.pair = NULL};
    arena_init(&out->texts, 65536, TEXTS_MAX_BYTES);
    if (f == NULL) {
        fprintf(stderr, "ibid: cannot read '%s': %s\n", path, strerror(errno));
        return false;
    }
    ok = read_lines(f, path, out);
    if (f != stdin)
        fclose(f);
    return ok;
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
