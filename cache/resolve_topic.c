#include "cache/resolve_topic.h"

#include <stdint.h>
#include <string.h>

/* Where what is asked about begins: behind "what is", "tell me about", "describe". SIZE_MAX: it
 * is no such question. */
static size_t thing_at(const struct resolve_text *t)
{
    const struct resolve_word *w = t->words;

    if (t->count >= 4 && resolve_text_is(&w[0], "tell") && resolve_text_is(&w[1], "me") &&
        resolve_text_is(&w[2], "about"))
        return 3;
    if (t->count >= 2 &&
        (resolve_text_is(&w[0], "describe") || resolve_text_is(&w[0], "define") ||
         resolve_text_is(&w[0], "explain")))
        return 1;
    if (t->count >= 2 && (resolve_text_is(&w[0], "what's") || resolve_text_is(&w[0], "who's")))
        return 1;
    if (t->count >= 3 && (resolve_text_is(&w[0], "what") || resolve_text_is(&w[0], "who")) &&
        (resolve_text_is(&w[1], "is") || resolve_text_is(&w[1], "are") ||
         resolve_text_is(&w[1], "was") || resolve_text_is(&w[1], "were")))
        return 2;
    return SIZE_MAX;
}

/* Of such a thing nobody says "it" without saying which. */
static bool is_abstract(const struct resolve_word *w)
{
    static const char *const list[] = {"history",      "meaning", "definition",
                                       "origin",       "concept", "importance",
                                       "significance", "purpose", NULL};

    for (size_t i = 0; list[i] != NULL; i++) {
        if (resolve_text_is(w, list[i]))
            return true;
    }
    return false;
}

static bool ends_like(const struct resolve_word *w, const char *ending)
{
    size_t n = strlen(w->low), k = strlen(ending);

    return n > k && strcmp(w->low + n - k, ending) == 0;
}

/* Words that make up the name of a thing, and no more than that. */
static bool is_name(const struct resolve_text *t, size_t from, size_t to)
{
    bool capital = false;

    if (from >= to || to - from > RESOLVE_TOPIC_WORDS_MAX)
        return false;
    for (size_t i = from; i < to; i++) {
        const struct resolve_word *w = &t->words[i];
        unsigned kind = resolve_text_kind(w);
        bool the = i == from && resolve_text_is(w, "the");

        capital |= w->capital;
        if (!the && (kind & ~(unsigned)(RESOLVE_RELATES | RESOLVE_MANNER)) != 0)
            return false;
    }
    if (resolve_text_is(&t->words[from], "the") && !capital)
        return false;
    /* "side effects", "symptoms": of what? */
    if ((resolve_text_kind(&t->words[to - 1]) & RESOLVE_RELATES) != 0)
        return false;
    return capital ||
           (!ends_like(&t->words[to - 1], "ing") && !ends_like(&t->words[to - 1], "ed") &&
            !ends_like(&t->words[to - 1], "ly") && !ends_like(&t->words[from], "ing") &&
            !resolve_text_is(&t->words[from], "worth"));
}

static void set(const struct resolve_text *t, size_t from, size_t to, struct resolve_topic *out)
{
    const char *last = t->words[to - 1].low;

    out->count = to - from;
    memcpy(out->words, &t->words[from], out->count * sizeof(out->words[0]));
    out->text = (struct span){t->text.ptr + t->words[from].from,
                              t->words[to - 1].to - t->words[from].from};
    out->plural = resolve_text_plural(&t->words[to - 1]) && strcmp(last, "news") != 0;
}

bool resolve_topic_of(const struct resolve_text *t, struct resolve_topic *out, bool *rival_one,
                      bool *rival_many)
{
    size_t from = thing_at(t), of = SIZE_MAX;
    bool article;

    *rival_one = *rival_many = false;
    if (from == SIZE_MAX || from >= t->count)
        return false;
    article = resolve_text_is(&t->words[from], "a") || resolve_text_is(&t->words[from], "an");
    for (size_t i = from; i < t->count; i++) {
        if (resolve_text_is(&t->words[i], "of"))
            of = i;
    }
    if (of != SIZE_MAX && of > from && of + 1 < t->count) {
        const struct resolve_word *head = &t->words[of - 1];

        *rival_many = resolve_text_plural(head);
        *rival_one = !*rival_many && !is_abstract(head);
        from = of + 1;
        article =
            resolve_text_is(&t->words[from], "a") || resolve_text_is(&t->words[from], "an");
    }
    if (!is_name(t, from + article, t->count))
        return false;
    set(t, from + article, t->count, out);
    if (article)
        out->plural = false;
    return true;
}

/* The only name in the turn. */
static bool only_name(const struct resolve_text *t, struct resolve_topic *out)
{
    size_t from = SIZE_MAX, to = 0;

    for (size_t i = 1; i < t->count; i++) {
        bool goes_on = i == to && t->words[i].low[0] >= '0' && t->words[i].low[0] <= '9';

        if (!t->words[i].capital && !goes_on)
            continue;
        if (from != SIZE_MAX && i != to)
            return false;
        if (from == SIZE_MAX)
            from = i;
        to = i + 1;
    }
    if (from == SIZE_MAX || !is_name(t, from, to))
        return false;
    set(t, from, to, out);
    return true;
}

static bool names(const struct resolve_text *t, const struct resolve_topic *p)
{
    return resolve_text_find(t, p->words, p->count) != SIZE_MAX;
}

/* The one of the earlier topics that the turn names; NULL: none, or several. One within another
 * ("fever" in "hay fever") is not counted beside it. */
static const struct resolve_topic *named(const struct resolve_focus *f,
                                         const struct resolve_text *t)
{
    const struct resolve_topic *best = NULL;

    for (size_t i = 0; i < f->count; i++) {
        const struct resolve_topic *p = &f->topics[i];

        if (!names(t, p))
            continue;
        if (best != NULL && !span_eq(best->text, p->text))
            return NULL;
        best = p;
    }
    return best;
}

/* What the turn names beside the topic. */
static void hear_rivals(struct resolve_focus *f, const struct resolve_text *t, size_t skip,
                        size_t skip_count)
{
    bool asks =
        resolve_text_is(&t->words[0], "who") || resolve_text_is(&t->words[0], "where") ||
        resolve_text_is(&t->words[0], "which") || resolve_text_is(&t->words[0], "whose");

    f->rival_one |= asks;
    f->rival_many |= asks;
    for (size_t i = 0; i < t->count; i++) {
        const struct resolve_word *w = &t->words[i];
        bool inside = i >= skip && i < skip + skip_count;

        if (inside || (resolve_text_kind(w) & RESOLVE_STOP) != 0)
            continue;
        if (w->capital)
            f->rival_one = f->rival_many = true;
        else if (resolve_text_plural(w))
            f->rival_many = true;
        /* "its capital", "the river", "a book" */
        else if (i > 0 && (resolve_text_kind(&t->words[i - 1]) & RESOLVE_STOP) != 0 &&
                 (resolve_text_is(&t->words[i - 1], "the") ||
                  resolve_text_is(&t->words[i - 1], "a") ||
                  resolve_text_is(&t->words[i - 1], "an") ||
                  resolve_text_is(&t->words[i - 1], "its") ||
                  resolve_text_is(&t->words[i - 1], "their")))
            f->rival_one = true;
    }
}

static void turn_to(struct resolve_focus *f, const struct resolve_topic *p)
{
    f->topic = NULL;
    f->rival_one = f->rival_many = false;
    if (f->count == RESOLVE_TOPICS_MAX)
        return;
    f->topics[f->count] = *p;
    f->topic = &f->topics[f->count++];
}

void resolve_topic_hear(struct resolve_focus *f, const struct resolve_text *t)
{
    unsigned kinds = resolve_text_kinds(t);
    const struct resolve_topic *again;
    struct resolve_topic p;
    bool one, many;

    if (t->many || (kinds & RESOLVE_LEANS) != 0) {
        f->topic = NULL;
        return;
    }
    if ((kinds & (RESOLVE_IT | RESOLVE_THEY)) != 0) {
        bool fits = f->topic != NULL && (kinds & RESOLVE_JOINS) == 0 &&
                    f->topic->plural == ((kinds & RESOLVE_THEY) != 0);

        if (fits)
            hear_rivals(f, t, SIZE_MAX, 0);
        else
            f->topic = NULL;
        return;
    }
    if (resolve_topic_of(t, &p, &one, &many)) {
        turn_to(f, &p);
        f->rival_one = one;
        f->rival_many = many;
        return;
    }
    again = (kinds & RESOLVE_JOINS) == 0 ? named(f, t) : NULL;
    if (again != NULL) {
        f->topic = again;
        f->rival_one = f->rival_many = false;
        hear_rivals(f, t, resolve_text_find(t, again->words, again->count), again->count);
    } else if ((kinds & RESOLVE_JOINS) == 0 && only_name(t, &p)) {
        turn_to(f, &p);
        hear_rivals(f, t, resolve_text_find(t, p.words, p.count), p.count);
    } else {
        f->topic = NULL;
    }
}
