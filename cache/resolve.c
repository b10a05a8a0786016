#include "cache/resolve.h"

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/resolve_text.h"
#include "cache/resolve_topic.h"

static const char *const reasons[] = {
    "long",    /* beyond the limits: bytes, words, turns */
    "several", /* more than one sentence */
    "form",    /* neither a whole question nor a plain request, or no English */
    "person",  /* it speaks of who talks */
    "talk",    /* … of the talk itself */
    "manner",  /* an earlier turn says how to answer, or what holds from then on */
    "topic",   /* it is not sure what is meant */
    "leans",   /* a word that the rules do not resolve */
    NULL,
};

const char *const *resolve_reasons(void)
{
    return reasons;
}

/* --- may the turns before be left out? -------------------------------------------------------
 */

static bool is_one_of(const struct resolve_word *w, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (resolve_text_is(w, list[i]))
            return true;
    }
    return false;
}

/* "tell me", "how do you tie a knot": nobody is spoken of. */
static bool is_polite(const struct resolve_text *t, size_t i)
{
    static const char *const ask[] = {"tell", "give", "show", NULL};
    static const char *const how[] = {"how", "where", "when", "what", NULL};
    static const char *const can[] = {"do", "can", "should", "could", NULL};
    static const char *const any[] = {"you", "i", "we", NULL};
    static const char *const own[] = {"know", "think", "mean",   "feel",      "say",  "like",
                                      "want", "love",  "prefer", "recommend", "call", NULL};
    const struct resolve_word *w = t->words;

    if (resolve_text_is(&w[i], "me"))
        return i > 0 && is_one_of(&w[i - 1], ask);
    return i == 2 && i + 1 < t->count && is_one_of(&w[0], how) && is_one_of(&w[1], can) &&
           is_one_of(&w[2], any) && !is_one_of(&w[3], own);
}

static bool has_person(const struct resolve_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if ((resolve_text_kind(&t->words[i]) & RESOLVE_PERSON) != 0 && !is_polite(t, i))
            return true;
    }
    return false;
}

/* A plain question, of which nothing holds for what follows but what it is about. */
static const char *not_plain(const struct resolve_text *t)
{
    if ((resolve_text_kind(&t->words[0]) & RESOLVE_STARTS) == 0 ||
        (resolve_text_kinds(t) & RESOLVE_ENGLISH) == 0)
        return "form";
    if (has_person(t))
        return "person";
    return NULL;
}

/* Only a request says how things are to be answered from then on; a question asks. */
static const char *bad_history(const struct resolve_text *t)
{
    static const char *const requests[] = {"tell",  "describe", "explain", "define", "can",
                                           "could", "will",     "would",   NULL};
    unsigned kinds = resolve_text_kinds(t);

    if (t->many || (is_one_of(&t->words[0], requests) && (kinds & RESOLVE_MANNER) != 0))
        return "manner";
    return not_plain(t) != NULL ? "manner" : NULL;
}

/* --- does the turn stand by itself? ----------------------------------------------------------
 */

/* "there" in "there is" points nowhere. */
static bool leans_there(const struct resolve_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct resolve_word *w = t->words;
        bool is = (i > 0 &&
                   (resolve_text_is(&w[i - 1], "is") || resolve_text_is(&w[i - 1], "are") ||
                    resolve_text_is(&w[i - 1], "was") || resolve_text_is(&w[i - 1], "were"))) ||
                  (i + 1 < t->count &&
                   (resolve_text_is(&w[i + 1], "is") || resolve_text_is(&w[i + 1], "are")));

        if (resolve_text_is(&w[i], "there") && !is)
            return true;
    }
    return false;
}

static bool more_than(const struct resolve_text *t)
{
    struct resolve_word than = {.low = "than"};

    return resolve_text_find(t, &than, 1) != SIZE_MAX;
}

static bool leans(const struct resolve_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct resolve_word *w = &t->words[i];
        bool degree = resolve_text_is(w, "more") || resolve_text_is(w, "less") ||
                      resolve_text_is(w, "better") || resolve_text_is(w, "worse") ||
                      resolve_text_is(w, "different");
        bool fine = resolve_text_is(w, "most") ||
                    (degree && (more_than(t) || resolve_text_is(w, "different")));

        if ((resolve_text_kind(w) & RESOLVE_LEANS) != 0 && !fine)
            return true;
    }
    return leans_there(t) ||
           (resolve_text_is(&t->words[0], "what") && t->count > 1 &&
            resolve_text_is(&t->words[1], "about")) ||
           (resolve_text_is(&t->words[0], "how") && t->count > 1 &&
            resolve_text_is(&t->words[1], "about"));
}

/* "the symptoms", "symptoms": of what? Nothing behind it says so. */
static bool hangs(const struct resolve_text *t)
{
    for (size_t i = 1; i < t->count; i++) {
        const struct resolve_word *w = &t->words[i];
        const struct resolve_word *next = i + 1 < t->count ? w + 1 : NULL;
        bool end = next == NULL ||
                   (!resolve_text_is(next, "of") && !resolve_text_is(next, "in") &&
                    !resolve_text_is(next, "for") && !resolve_text_is(next, "between") &&
                    !resolve_text_is(next, "to") && !next->capital);
        bool owned = strstr(w[-1].low, "'s") != NULL || w[-1].capital;
        unsigned kind = resolve_text_kind(w);

        if ((kind & RESOLVE_RELATES) != 0 && end && !owned)
            return true;
    }
    return false;
}

static bool has_definite(const struct resolve_text *t)
{
    for (size_t i = 0; i + 1 < t->count; i++) {
        size_t k = i + 1;

        if (!resolve_text_is(&t->words[i], "the"))
            continue;
        /* "the rules of water polo", "the Golden Gate Bridge" */
        while (k < t->count && (resolve_text_kind(&t->words[k]) & RESOLVE_STOP) == 0 &&
               !t->words[k].capital)
            k++;
        if (k == t->count || (!t->words[k].capital && !resolve_text_is(&t->words[k], "of") &&
                              !resolve_text_is(&t->words[k], "between")))
            return true;
    }
    return false;
}

static bool has_name(const struct resolve_text *t)
{
    for (size_t i = 1; i < t->count; i++) {
        if (t->words[i].capital)
            return true;
    }
    return false;
}

/* "the types of frames": of what kind of thing is said by one common word; in a talk about
 * something else it is another one. */
static bool is_loose(const struct resolve_text *t, const struct resolve_topic *p)
{
    static const char *const list[] = {"popular", "important", "main",   "major",   "key",
                                       "best",    "common",    "famous", "typical", NULL};
    size_t at = resolve_text_find(t, p->words, p->count);

    if (is_one_of(&p->words[0], list))
        return true;
    return p->count == 1 && at > 0 && at != SIZE_MAX && !p->words[0].capital &&
           resolve_text_is(&t->words[at - 1], "of");
}

static bool is_whole(const struct resolve_text *t)
{
    struct resolve_topic topic;
    bool one, many;

    if (hangs(t) || has_definite(t))
        return false;
    return has_name(t) || (resolve_topic_of(t, &topic, &one, &many) && !is_loose(t, &topic));
}

/* --- what is meant ---------------------------------------------------------------------------
 */

/* "it" that means nothing: "how long does it take", "is it possible to". */
static bool says_nothing(const struct resolve_text *t, size_t i)
{
    static const char *const next[] = {
        "take",   "takes",  "took", "possible", "true",  "important", "necessary", "better",
        "safe",   "legal",  "hard", "easy",     "worth", "rain",      "snow",      "mean",
        "matter", "normal", "okay", "good",     "bad",   "like",      "feel",      NULL};

    static const char *const clock[] = {"time", "day", "date", NULL};

    if (!resolve_text_is(&t->words[i], "it"))
        return false;
    if (i + 1 == t->count)
        return i > 1 && is_one_of(&t->words[i - 2], clock);
    return is_one_of(&t->words[i + 1], next);
}

static enum status put_topic(struct buf *out, const struct resolve_topic *p, bool owns)
{
    enum status st = buf_append(out, p->text);
    const char *last = p->words[p->count - 1].low;

    if (st != ST_OK || !owns)
        return st;
    return buf_append(out, last[strlen(last) - 1] == 's' ? SPAN("'") : SPAN("'s"));
}

/* The topic in the place of each word that means it. */
static bool substitute(const struct resolve_text *t, const struct resolve_topic *p,
                       struct buf *out)
{
    enum status st = ST_OK;
    size_t at = 0, places = 0;

    for (size_t i = 0; i < t->count && st == ST_OK; i++) {
        const struct resolve_word *w = &t->words[i];
        bool owns = resolve_text_is(w, "its") || resolve_text_is(w, "their");

        if ((resolve_text_kind(w) & (RESOLVE_IT | RESOLVE_THEY)) == 0)
            continue;
        if (says_nothing(t, i) || ++places > 2)
            return false;
        st = buf_append(out, (struct span){t->text.ptr + at, w->from - at});
        if (st == ST_OK)
            st = put_topic(out, p, owns);
        at = w->to;
    }
    if (st == ST_OK)
        st = buf_append(out, (struct span){t->text.ptr + at, t->text.len - at});
    return st == ST_OK && places > 0;
}

/* "What are the symptoms?" */
static bool asks_a_part(const struct resolve_text *t)
{
    if (t->count < 4 || t->count > 7 || !resolve_text_is(&t->words[0], "what") ||
        !(resolve_text_is(&t->words[1], "are") || resolve_text_is(&t->words[1], "is")) ||
        !resolve_text_is(&t->words[2], "the") || has_name(t) ||
        (resolve_text_kind(&t->words[t->count - 1]) & RESOLVE_RELATES) == 0)
        return false;
    for (size_t i = 3; i < t->count; i++) {
        if ((resolve_text_kind(&t->words[i]) & RESOLVE_STOP) != 0)
            return false;
    }
    return true;
}

static bool complement(const struct resolve_text *t, const struct resolve_topic *p,
                       struct buf *out)
{
    size_t end = t->words[t->count - 1].to;

    return buf_append(out, (struct span){t->text.ptr, end}) == ST_OK &&
           buf_append(out, SPAN(" of ")) == ST_OK && put_topic(out, p, false) == ST_OK &&
           buf_append(out, (struct span){t->text.ptr + end, t->text.len - end}) == ST_OK;
}

static bool make(const struct resolve_focus *f, const struct resolve_text *t, struct buf *out)
{
    const struct resolve_topic *p = f->topic;
    unsigned kinds = resolve_text_kinds(t);
    bool it = (kinds & RESOLVE_IT) != 0, they = (kinds & RESOLVE_THEY) != 0;

    if (p == NULL || (it && they))
        return false;
    if (it || they) {
        bool rival = it ? f->rival_one : f->rival_many;

        return p->plural == they && !rival && substitute(t, p, out);
    }
    return asks_a_part(t) && !f->rival_one && !f->rival_many && complement(t, p, out);
}

/* "Grace", where "Grace Hopper" was said before: which one is meant is known from there only.
 */
static bool is_cut_name(const struct resolve_text *t, const struct resolve_text *before)
{
    for (size_t i = 1, n; i < t->count; i += n + 1) {
        size_t at;

        for (n = 0; i + n < t->count && t->words[i + n].capital; n++)
            ;
        at = resolve_text_find(before, &t->words[i], n);
        if (at != SIZE_MAX && ((at > 1 && before->words[at - 1].capital) ||
                               (at + n < before->count && before->words[at + n].capital)))
            return true;
    }
    return false;
}

static bool cuts_a_name(const struct span *turns, size_t n, const struct resolve_text *t)
{
    struct resolve_text before;

    for (size_t i = 0; i + 1 < n; i++) {
        if (resolve_text_read(turns[i], &before) && is_cut_name(t, &before))
            return true;
    }
    return false;
}

enum resolve resolve_turn(const struct span *turns, size_t n, struct buf *out, const char **why)
{
    struct resolve_focus focus = {.count = 0};
    struct resolve_text t;
    unsigned kinds;

    buf_clear(out);
    *why = "long";
    if (n == 0 || n > RESOLVE_TURNS_MAX)
        return RESOLVED_NEVER;
    for (size_t i = 0; i + 1 < n; i++) {
        if (!resolve_text_read(turns[i], &t))
            return RESOLVED_NEVER;
        *why = bad_history(&t);
        if (*why != NULL)
            return RESOLVED_NEVER;
        *why = "long";
        resolve_topic_hear(&focus, &t);
    }
    if (!resolve_text_read(turns[n - 1], &t))
        return RESOLVED_NEVER;
    *why = t.many ? "several" : not_plain(&t);
    kinds = resolve_text_kinds(&t);
    if (*why == NULL && (kinds & RESOLVE_TALK) != 0)
        *why = "talk";
    if (*why != NULL)
        return RESOLVED_NEVER;
    if (leans(&t)) {
        *why = "leans";
        return RESOLVED_OPEN;
    }
    if (cuts_a_name(turns, n, &t)) {
        *why = "topic";
        return RESOLVED_OPEN;
    }
    if ((kinds & (RESOLVE_IT | RESOLVE_THEY)) == 0 && is_whole(&t))
        return RESOLVED_WHOLE;
    if (make(&focus, &t, out))
        return RESOLVED_MADE;
    *why = "topic";
    return RESOLVED_OPEN;
}
