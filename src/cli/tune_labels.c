#include "cli/tune_labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/json_lines.h"

#define TEXTS_MAX_BYTES ((size_t)1 << 30)

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

/* A line of route.outcomes_file. Not every one says what is to be known here: some have no
 * texts, of some answers nobody could tell whether they are right. */
static const char *take_outcome(struct tune_labels *l, const struct json *o)
{
    struct training_example e = {.large = 1};

    e.text = json_str(json_get(o, SPAN("question")));
    if (e.text.ptr == NULL || !read_score(json_get(o, SPAN("small")), &e.small)) {
        l->passed_over++;
        return NULL;
    }
    if (l->count == TRAINING_MAX)
        return "these are too many questions: a hundred thousand at most";
    return add(l, &e) ? NULL : "out of memory";
}

static const char *take_object(void *owner, const struct json *o)
{
    struct tune_labels *l = owner;
    struct training_example e = {.large = 1};
    const struct json *large;

    if (json_get(o, SPAN("signs")) != NULL)
        return take_outcome(l, o);
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

bool tune_labels_read(const char *path, struct tune_labels *out)
{
    *out = (struct tune_labels){.list = NULL};
    arena_init(&out->texts, 65536, TEXTS_MAX_BYTES);
    if (!json_lines_read(path, take_object, out))
        return false;
    if (out->passed_over > 0)
        fprintf(stderr,
                "ibid: %s: %zu outcomes without a text (route.outcomes: texts) or without a "
                "verdict were passed over\n",
                path, out->passed_over);
    if (out->count == 0)
        fprintf(stderr, "ibid: %s: there are no questions in it\n", path);
    return out->count > 0;
}

void tune_labels_release(struct tune_labels *l)
{
    arena_release(&l->texts);
    free(l->list);
    l->list = NULL;
}
