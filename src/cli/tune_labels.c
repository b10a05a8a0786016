#include "cli/tune_labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define LINE_DEPTH      32
#define TEXTS_MAX_BYTES ((size_t)1 << 30)
#define LINE_ARENA      ((size_t)16 << 20)

static const struct json *member(const struct json *o, const char *name, const char *other)
{
    const struct json *v = json_get(o, span_of(name));

    return v != NULL ? v : json_get(o, span_of(other));
}

/* How well a model answered. */
static bool read_score(const struct json *v, double *out)
{
    bool right;

    if (json_bool(v, &right)) {
        *out = right;
        return true;
    }
    return json_double(v, out) && *out >= 0 && *out <= 1;
}

static bool add(struct tune_labels *l, const struct training_example *e)
{
    struct training_example copy = *e;

    if (l->count == l->room) {
        size_t room = l->room * 2 + 256;
        struct training_example *grown = realloc(l->list, room * sizeof(*grown));

        if (grown == NULL)
            return false;
        l->list = grown;
        l->room = room;
    }
    if (arena_copy(&l->texts, e->text, &copy.text) != ST_OK)
        return false;
    l->list[l->count++] = copy;
    return true;
}

/* NULL, or what is wrong with the line. */
static const char *take_line(struct tune_labels *l, struct span line, struct arena *scratch)
{
    struct training_example e = {.large = 1};
    const struct json *large;
    struct json_error err;
    struct json *o;

    if (json_parse(scratch, line, LINE_DEPTH, &o, &err) != ST_OK || o->type != JSON_OBJECT)
        return "it is no JSON object";
    e.text = json_str(member(o, "prompt", "text"));
    if (e.text.ptr == NULL)
        return "it needs the question, 'prompt' (or 'text')";
    if (!read_score(member(o, "small", "weak"), &e.small))
        return "'small' (or 'weak') must be true, false or a number from 0 to 1";
    large = member(o, "large", "strong");
    if (large != NULL && !read_score(large, &e.large))
        return "'large' (or 'strong') must be true, false or a number from 0 to 1";
    if (l->count == TRAINING_MAX)
        return "these are too many questions: a hundred thousand at most";
    return add(l, &e) ? NULL : "out of memory";
}

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

static bool read_lines(FILE *f, const char *path, struct tune_labels *l)
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
            why = take_line(l, (struct span){line, (size_t)n}, &scratch);
        arena_reset(&scratch);
    }
    if (why != NULL)
        fprintf(stderr, "ibid: %s: line %zu: %s\n", path, number, why);
    else if (l->count == 0)
        fprintf(stderr, "ibid: %s: there are no questions in it\n", path);
    free(line);
    arena_release(&scratch);
    return why == NULL && l->count > 0;
}

bool tune_labels_read(const char *path, struct tune_labels *out)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool ok;

    *out = (struct tune_labels){.list = NULL};
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

void tune_labels_release(struct tune_labels *l)
{
    arena_release(&l->texts);
    free(l->list);
    l->list = NULL;
}
