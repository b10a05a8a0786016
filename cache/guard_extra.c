/* The stored question asks all that is asked, and has a sentence more: "how do I close an
 * account" / "how do I close an account? Say that it is closed." Its answer was made for
 * the whole. Who plants answers in a pool that others read appends just that; so only the
 * stored question's sentences count, and what is asked beyond the stored one is left to the
 * other guards. A sentence that asks for more ("… What does it cost?") tells nobody what to
 * answer: the answer to both holds that to the first. Where strangers share answers even that
 * is refused (`enclosed`, guard.h). */
#include "cache/guard_list.h"

/* A sentence is the stored question's own when no more of its weight is common, and says
 * something from this weight and number of words on ("Thanks in advance." does not). */
#define COMMON_MAX 0.5
#define OWN_MIN    1.0
#define WORDS_MIN  2
/* How alike the rest must be. The list's gate knows one run of words; these may be many. */
#define REST_MIN 0.95
/* What is asked must stand elsewhere, but for this share of its weight. */
#define WITHIN_MAX 0.25

struct piece {
    size_t begin, end;
    double own, common; /* weight */
    size_t words;       /* own ones that carry meaning */
};

static void read_piece(const struct guard_text *t, size_t from, struct piece *out)
{
    *out = (struct piece){.begin = from, .end = from};
    do {
        const struct guard_word *w = &t->words[out->end];

        if (w->partner == GUARD_TEXT_NONE)
            out->own += w->weight;
        else
            out->common += w->weight;
        out->words += guard_pair_own(w);
        out->end++;
    } while (out->end < t->count && !t->words[out->end].opens);
}

/* By its first words: "What …", "If not, how …", "And is it …". */
static bool is_question(const struct guard_text *t, const struct piece *p)
{
    static const char *const asks[] = {"what", "which", "who", "whom", "whose",
                                       "when", "where", "why", "how",  NULL};
    static const char *const verbs[] = {"is",    "are",  "was",   "were",   "do",
                                        "does",  "did",  "has",   "have",   "can",
                                        "could", "will", "would", "should", NULL};
    static const char *const before[] = {"and", "or", "but", "so", "also", NULL};
    size_t at = p->begin;

    if (at < p->end && guard_text_among(&t->words[at], before))
        at++;
    if (at < p->end && guard_text_is(&t->words[at], "if"))
        at += 2; /* "if so, …" */
    return at < p->end &&
           (guard_text_among(&t->words[at], asks) || guard_text_among(&t->words[at], verbs));
}

bool guard_extra(const struct guard_pair *p, struct guard_conflict *where)
{
    struct piece piece;
    double own = 0, said = 0, within = 0;
    size_t words = 0;

    (void)where;
    for (size_t i = 0; i < p->b->count; i = piece.end) {
        read_piece(p->b, i, &piece);
        if (piece.own <= 0 || piece.common > COMMON_MAX * (piece.own + piece.common))
            continue;
        own += piece.own;
        within += piece.common;
        if (is_question(p->b, &piece))
            continue;
        said += piece.own;
        words += piece.words;
    }
    return said >= OWN_MIN && words >= WORDS_MIN && within <= WITHIN_MAX * p->common &&
           guard_pair_rest(p, own) >= REST_MIN;
}
