#include "proxy/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "engine/engine.h"
#include "proxy/conditions.h"
#include "proxy/lessons.h"

struct prompt {
    const struct config_prompt *config; /* borrowed */
    struct lessons *lessons;            /* owned; NULL: none */
};

struct prompt_book {
    struct prompt prompts[CONFIG_PROMPTS_MAX];
    size_t count;
};

enum status prompt_open(const struct config *c, struct prompt_book **out, char *why,
                        size_t why_cap)
{
    char trouble[CONFIG_TEXT_MAX + 128];
    struct prompt_book *b;
    enum status st = ST_OK;

    *out = NULL;
    if (c->prompt_count == 0)
        return ST_OK;
    b = calloc(1, sizeof(*b));
    if (b == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < c->prompt_count && st == ST_OK; i++) {
        struct prompt *p = &b->prompts[b->count++];

        p->config = &c->prompts[i];
        if (p->config->examples_file[0] != '\0')
            st = lessons_open(p->config->examples_file, &p->lessons, trouble, sizeof(trouble));
        if (st != ST_OK)
            snprintf(why, why_cap, "prompts: %s: examples_file: %s", p->config->name, trouble);
    }
    if (st != ST_OK) {
        prompt_close(b);
        return st;
    }
    *out = b;
    return ST_OK;
}

void prompt_close(struct prompt_book *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->count; i++)
        lessons_close(b->prompts[i].lessons);
    free(b);
}

const struct prompt *prompt_find(const struct prompt_book *b, struct span model,
                                 const char *rule)
{
    for (size_t i = 0; b != NULL && i < b->count; i++) {
        const char *models = b->prompts[i].config->models;
        const char *routes = b->prompts[i].config->routes;

        if ((models[0] == '\0' || conditions_model(models, model)) &&
            (routes[0] == '\0' || (rule != NULL && conditions_model(routes, span_of(rule)))))
            return &b->prompts[i];
    }
    return NULL;
}

size_t prompt_examples(const struct prompt *p, struct span question, struct decoder_turn *turns)
{
    return p == NULL ? 0
                     : lessons_near(p->lessons, question, (size_t)p->config->examples, turns);
}

/* --- the form ----------------------------------------------------------------------------- */

/* A system prompt is cut where a sentence or a line of it ends; where there is none, at a
 * blank, and never within a character. */
static struct span shorten(struct span s, size_t most)
{
    size_t sentence = 0, blank = 0, i;

    if (most == 0 || s.len <= most)
        return s;
    for (i = 0; i < most; i++) {
        bool ends = s.ptr[i + 1] == ' ' || s.ptr[i + 1] == '\n';

        if (s.ptr[i] == '\n' || (ends && strchr(".!?", s.ptr[i]) != NULL && s.ptr[i] != '\0'))
            sentence = i + 1;
        if (s.ptr[i] == ' ')
            blank = i;
    }
    while (i > 0 && ((unsigned char)s.ptr[i] & 0xc0) == 0x80)
        i--;
    s.len = sentence > 0 ? sentence : blank > 0 ? blank : i;
    return s;
}

static struct span trimmed(struct span s)
{
    while (s.len > 0 && (s.ptr[0] == '\n' || s.ptr[0] == ' ')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == ' '))
        s.len--;
    return s;
}

/* A question of several paragraphs: what is to be done stands in the first one, but where only
 * the last one asks something. */
struct parts {
    struct span task, text;
    bool task_last;
};

static bool take_apart(struct span s, struct parts *out)
{
    struct span first = s, last = s;

    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.ptr[i] != '\n' || s.ptr[i + 1] != '\n')
            continue;
        if (first.len == s.len)
            first = (struct span){s.ptr, i};
        last = (struct span){s.ptr + i + 2, s.len - i - 2};
    }
    first = trimmed(first);
    last = trimmed(last);
    if (first.len == 0 || last.len == 0 || first.ptr == last.ptr)
        return false;
    out->task_last =
        memchr(first.ptr, '?', first.len) == NULL && memchr(last.ptr, '?', last.len) != NULL;
    out->task = out->task_last ? last : first;
    out->text = out->task_last ? (struct span){s.ptr, (size_t)(last.ptr - s.ptr)}
                               : (struct span){first.ptr + first.len,
                                               s.len - (size_t)(first.ptr + first.len - s.ptr)};
    out->text = trimmed(out->text);
    return true;
}

static enum status put(struct buf *b, struct span s, const char *before, const char *after)
{
    enum status st = buf_append(b, span_of(before));

    if (st == ST_OK)
        st = buf_append(b, s);
    return st == ST_OK ? buf_append(b, span_of(after)) : st;
}

static enum status write_question(const struct config_prompt *c, struct span s, bool thinks,
                                  struct buf *out)
{
    struct parts p;
    bool tags = strcmp(c->style, "tags") == 0;
    bool first = strcmp(c->order, "task_first") == 0;
    const char *of_task[2] = {tags ? "<task>\n" : "", tags ? "\n</task>" : ""};
    const char *of_text[2] = {tags ? "<text>\n" : "", tags ? "\n</text>" : ""};
    enum status st;

    if ((!tags && !first) || !take_apart(s, &p)) {
        st = buf_append(out, s);
    } else if (p.task_last && !first) {
        st = put(out, p.text, of_text[0], of_text[1]);
        if (st == ST_OK)
            st = buf_append(out, SPAN("\n\n"));
        if (st == ST_OK)
            st = put(out, p.task, of_task[0], of_task[1]);
    } else {
        st = put(out, p.task, of_task[0], of_task[1]);
        if (st == ST_OK)
            st = buf_append(out, SPAN("\n\n"));
        if (st == ST_OK)
            st = put(out, p.text, of_text[0], of_text[1]);
    }
    if (st == ST_OK && thinks)
        st = buf_append(out, SPAN("\n\nThink step by step. Then write \"Answer:\" and the "
                                  "answer, and nothing after it."));
    return st;
}

static enum status shape_turn(const struct config_prompt *c, struct arena *arena, bool thinks,
                              struct decoder_turn *t)
{
    struct buf text;
    enum status st;

    if (span_eq(t->role, SPAN("system")) || span_eq(t->role, SPAN("developer"))) {
        t->text = shorten(t->text, (size_t)c->system_max_bytes);
        return ST_OK;
    }
    if (!span_eq(t->role, SPAN("user")))
        return ST_OK;
    buf_init(&text, t->text.len + 1024);
    st = write_question(c, t->text, thinks, &text);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&text), &t->text);
    buf_release(&text);
    return st;
}

enum status prompt_shape(const struct prompt *p, struct arena *arena,
                         struct decoder_turn *turns, size_t n, bool thinks)
{
    enum status st = ST_OK;

    for (size_t i = 0; p != NULL && i < n && st == ST_OK; i++)
        st = shape_turn(p->config, arena, thinks && i + 1 == n, &turns[i]);
    return st;
}

bool prompt_thinks(const struct prompt *p)
{
    return p != NULL && p->config->think;
}

/* --- the answer --------------------------------------------------------------------------- */

static bool starts(const char *p, size_t n, struct span word)
{
    if (n < word.len)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];

        if (c != word.ptr[i])
            return false;
    }
    return true;
}

bool prompt_strip(struct buf *said)
{
    /* The smallest models never write the word as they are told to. */
    static const struct span marks[] = {{"answer:", 7}, {"</think>", 8}, {"answer is", 9}};
    size_t from = 0;
    struct span s;

    for (size_t i = 0; i < said->len; i++) {
        for (size_t k = 0; k < ARRAY_LEN(marks); k++) {
            if (starts(said->ptr + i, said->len - i, marks[k]))
                from = i + marks[k].len;
        }
    }
    s = trimmed((struct span){said->ptr + from, said->len - from});
    /* "**Answer:** 4", "the answer is: 4" */
    while (s.len > 0 && (s.ptr[0] == '*' || s.ptr[0] == ':')) {
        s.ptr++;
        s.len--;
    }
    s = trimmed(s);
    if (from == 0 || s.len == 0)
        return false;
    buf_consume(said, (size_t)(s.ptr - said->ptr));
    said->len = s.len;
    return true;
}
