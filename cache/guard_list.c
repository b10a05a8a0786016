/* The guards themselves. A guard is true when the two questions can not have the same
 * answer. Its word lists are written by us. */
#include <string.h>

#include "base/compiler.h"
#include "cache/guard_common.h"
#include "cache/guard_words.h"

static bool has(const struct guard_text *t, const char *word)
{
    for (size_t i = 0; i < t->count; i++) {
        if (span_eq(t->words[i].raw, span_of(word)))
            return true;
    }
    return false;
}

/* The word stands in one of the two only. */
static bool stands_alone(const struct guard_text *t, const char *word)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct guard_word *w = &t->words[i];

        if (!w->matched && (span_eq(w->raw, span_of(word)) || span_eq(w->text, span_of(word))))
            return true;
    }
    return false;
}

/* --- numbers, quotes, length ------------------------------------------------------------ */

/* A number that the other question has not. A digit in one where the other has no number
 * at all may be a detail; two that differ are not. */
bool guard_number(const struct guard_pair *p)
{
    size_t a = 0, b = 0, own_a = 0, own_b = 0;

    for (size_t i = 0; i < p->a.count; i++) {
        a += p->a.words[i].number;
        own_a += p->a.words[i].number && !p->a.words[i].matched;
    }
    for (size_t i = 0; i < p->b.count; i++) {
        b += p->b.words[i].number;
        own_b += p->b.words[i].number && !p->b.words[i].matched;
    }
    return (own_a > 0 && own_b > 0) || (a != b && (own_a > 0 || own_b > 0));
}

bool guard_quote(const struct guard_pair *p)
{
    bool a = false, b = false;

    for (size_t i = 0; i < p->a.count; i++)
        a |= p->a.words[i].quoted && !p->a.words[i].matched && !p->a.words[i].stop;
    for (size_t i = 0; i < p->b.count; i++)
        b |= p->b.words[i].quoted && !p->b.words[i].matched && !p->b.words[i].stop;
    return a && b;
}

#define LENGTH_RATIO_MAX 4

bool guard_length(const struct guard_pair *p)
{
    size_t a = p->a.count, b = p->b.count;
    size_t longer = a > b ? a : b, shorter = a > b ? b : a;

    return longer > 12 && longer > LENGTH_RATIO_MAX * shorter;
}

/* --- negation ---------------------------------------------------------------------------- */

static const char *const negations[] = {"not",    "no",     "never",   "without",
                                        "cannot", "none",   "nothing", "neither",
                                        "nor",    "except", "avoid",   "stop"};

static bool is_negation(struct span w)
{
    if (w.len > 3 && memcmp(w.ptr + w.len - 3, "n't", 3) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(negations); i++) {
        if (span_eq(w, span_of(negations[i])))
            return true;
    }
    return false;
}

static unsigned count_negations(const struct guard_text *t)
{
    unsigned n = 0;

    for (size_t i = 0; i < t->count; i++)
        n += is_negation(t->words[i].raw);
    return n;
}

static const char *const prefixes[] = {"un", "dis", "non", "in", "im", "il", "ir", "de", "mis"};

/* "enable" / "disable", "able" / "unable", "activate" / "deactivate": one word is the
 * other with a prefix of negation. */
static bool is_prefixed(struct span a, struct span b)
{
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        struct span tail;

        if (b.len < n + 4 || memcmp(b.ptr, prefixes[i], n) != 0)
            continue;
        tail = (struct span){b.ptr + n, b.len - n};
        if (tail.len > 1 && tail.ptr[0] == '-')
            tail = (struct span){tail.ptr + 1, tail.len - 1};
        if (span_eq(tail, a))
            return true;
        /* en-able / dis-able */
        if (a.len > 4 && (memcmp(a.ptr, "en", 2) == 0) &&
            span_eq(tail, (struct span){a.ptr + 2, a.len - 2}))
            return true;
    }
    return false;
}

static bool prefixed_pair(const struct guard_text *a, const struct guard_text *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            const struct guard_word *x = &a->words[i], *y = &b->words[j];

            if (!x->matched && !y->matched &&
                (is_prefixed(x->text, y->text) || is_prefixed(y->text, x->text)))
                return true;
        }
    }
    return false;
}

/* Words of its own beside the negations themselves. */
static size_t other_words(const struct guard_text *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++)
        n += !t->words[i].matched && !t->words[i].stop && !is_negation(t->words[i].raw);
    return n;
}

/* One says "not" and the other does not, and hardly anything else differs: with other
 * words of its own a question may well say the same the other way round ("my transfer
 * has not arrived" / "my transfer is missing"). */
bool guard_negation(const struct guard_pair *p)
{
    bool odd = (count_negations(&p->a) + count_negations(&p->b)) % 2 == 1;

    return (odd && other_words(&p->a) + other_words(&p->b) <= 1) || prefixed_pair(&p->a, &p->b);
}

/* --- antonyms ---------------------------------------------------------------------------- */

static const char *const antonyms[][2] = {
    {"open", "close"},
    {"open", "closed"},
    {"opened", "closed"},
    {"enable", "disable"},
    {"enabled", "disabled"},
    {"on", "off"},
    {"before", "after"},
    {"start", "stop"},
    {"start", "end"},
    {"begin", "end"},
    {"first", "last"},
    {"increase", "decrease"},
    {"raise", "lower"},
    {"raise", "reduce"},
    {"increase", "reduce"},
    {"buy", "sell"},
    {"import", "export"},
    {"upload", "download"},
    {"install", "uninstall"},
    {"lock", "unlock"},
    {"add", "remove"},
    {"add", "delete"},
    {"create", "delete"},
    {"create", "remove"},
    {"insert", "delete"},
    {"accept", "reject"},
    {"accept", "decline"},
    {"allow", "block"},
    {"allow", "deny"},
    {"allow", "forbid"},
    {"above", "below"},
    {"over", "under"},
    {"up", "down"},
    {"in", "out"},
    {"inside", "outside"},
    {"high", "low"},
    {"higher", "lower"},
    {"highest", "lowest"},
    {"more", "less"},
    {"most", "least"},
    {"more", "fewer"},
    {"big", "small"},
    {"bigger", "smaller"},
    {"biggest", "smallest"},
    {"large", "small"},
    {"larger", "smaller"},
    {"largest", "smallest"},
    {"long", "short"},
    {"longer", "shorter"},
    {"longest", "shortest"},
    {"fast", "slow"},
    {"faster", "slower"},
    {"fastest", "slowest"},
    {"hot", "cold"},
    {"good", "bad"},
    {"better", "worse"},
    {"best", "worst"},
    {"old", "new"},
    {"older", "newer"},
    {"oldest", "newest"},
    {"early", "late"},
    {"earliest", "latest"},
    {"cheap", "expensive"},
    {"cheapest", "most"},
    {"maximum", "minimum"},
    {"max", "min"},
    {"maximize", "minimize"},
    {"positive", "negative"},
    {"advantage", "disadvantage"},
    {"pro", "con"},
    {"benefit", "risk"},
    {"benefit", "drawback"},
    {"win", "lose"},
    {"gain", "lose"},
    {"gain", "loss"},
    {"profit", "loss"},
    {"push", "pull"},
    {"send", "receive"},
    {"lend", "borrow"},
    {"borrow", "lend"},
    {"give", "take"},
    {"love", "hate"},
    {"like", "dislike"},
    {"alive", "dead"},
    {"north", "south"},
    {"east", "west"},
    {"left", "right"},
    {"front", "back"},
    {"top", "bottom"},
    {"male", "female"},
    {"man", "woman"},
    {"men", "women"},
    {"boy", "girl"},
    {"husband", "wife"},
    {"mother", "father"},
    {"son", "daughter"},
    {"brother", "sister"},
    {"day", "night"},
    {"morning", "evening"},
    {"am", "pm"},
    {"summer", "winter"},
    {"public", "private"},
    {"internal", "external"},
    {"input", "output"},
    {"incoming", "outgoing"},
    {"credit", "debit"},
    {"deposit", "withdraw"},
    {"deposit", "withdrawal"},
    {"freeze", "unfreeze"},
    {"activate", "cancel"},
    {"activate", "block"},
    {"success", "failure"},
    {"succeed", "fail"},
    {"pass", "fail"},
    {"true", "false"},
    {"always", "never"},
    {"all", "none"},
    {"everyone", "nobody"},
    {"legal", "illegal"},
    {"safe", "dangerous"},
    {"easy", "hard"},
    {"easy", "difficult"},
    {"strong", "weak"},
    {"rich", "poor"},
    {"young", "old"},
    {"light", "dark"},
    {"light", "heavy"},
    {"wet", "dry"},
    {"full", "empty"},
    {"client", "server"},
    {"read", "write"},
    {"encode", "decode"},
    {"encrypt", "decrypt"},
    {"compress", "decompress"},
    {"connect", "disconnect"},
    {"login", "logout"},
    {"mount", "unmount"},
    {"attach", "detach"},
    {"show", "hide"},
    {"expand", "collapse"},
    {"ascend", "descend"},
    {"ascending", "descending"},
    {"horizontal", "vertical"},
    {"arrive", "depart"},
    {"arrival", "departure"},
    {"entrance", "exit"},
    {"enter", "exit"},
    {"domestic", "international"},
    {"vegetarian", "meat"},
    {"cause", "cure"},
    {"symptom", "treatment"},
    {"question", "answer"},
    {"who", "when"},
    {"who", "where"},
    {"when", "where"},
};

static bool opposite(const struct guard_text *a, const struct guard_text *b, const char *x,
                     const char *y)
{
    return (stands_alone(a, x) && stands_alone(b, y)) ||
           (stands_alone(a, y) && stands_alone(b, x));
}

bool guard_antonym(const struct guard_pair *p)
{
    for (size_t i = 0; i < ARRAY_LEN(antonyms); i++) {
        if (opposite(&p->a, &p->b, antonyms[i][0], antonyms[i][1]))
            return true;
    }
    return false;
}

/* --- time -------------------------------------------------------------------------------- */

/* Within a group each word is another time. */
static const char *const times[][13] = {
    {"january", "february", "march", "april", "may", "june", "july", "august", "september",
     "october", "november", "december", NULL},
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", NULL},
    {"yesterday", "today", "tomorrow", "tonight", NULL},
    {"spring", "summer", "autumn", "winter", NULL},
    {"daily", "weekly", "monthly", "yearly", "hourly", "annually", NULL},
    {"last", "this", "next", "previous", "current", NULL},
    {"second", "minute", "hour", "day", "week", "month", "year", "decade", "century", NULL},
};

static bool times_differ(const struct guard_pair *p, const char *const *group)
{
    bool a = false, b = false;

    for (size_t i = 0; group[i] != NULL; i++) {
        a |= stands_alone(&p->a, group[i]);
        b |= stands_alone(&p->b, group[i]);
    }
    return a && b;
}

bool guard_time(const struct guard_pair *p)
{
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        if (times_differ(p, times[i]))
            return true;
    }
    return false;
}

/* --- order ------------------------------------------------------------------------------- */

/* The words that carry meaning, in their order. */
static size_t content(const struct guard_text *t, const struct guard_word **out)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (!t->words[i].stop)
            out[n++] = &t->words[i];
    }
    return n;
}

static bool same_set(const struct guard_pair *p)
{
    for (size_t i = 0; i < p->a.count; i++) {
        if (!p->a.words[i].stop && !p->a.words[i].matched)
            return false;
    }
    for (size_t i = 0; i < p->b.count; i++) {
        if (!p->b.words[i].stop && !p->b.words[i].matched)
            return false;
    }
    return true;
}

/* What stands after `mark`, e.g. the place after "from". */
static struct span after(const struct guard_text *t, const char *mark)
{
    for (size_t i = 0; i + 1 < t->count; i++) {
        if (!span_eq(t->words[i].raw, span_of(mark)))
            continue;
        for (size_t j = i + 1; j < t->count; j++) {
            if (!t->words[j].stop)
                return t->words[j].text;
        }
    }
    return (struct span){NULL, 0};
}

/* from X to Y against from Y to X: what follows one mark here follows the other there. */
static const char *const marks[][2] = {
    {"from", "to"}, {"before", "after"}, {"into", "from"},
    {"than", "is"}, {"over", "under"},   {"with", "by"},
};

bool guard_direction(const struct guard_pair *p)
{
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        struct span a0 = after(&p->a, marks[i][0]), a1 = after(&p->a, marks[i][1]);
        struct span b0 = after(&p->b, marks[i][0]), b1 = after(&p->b, marks[i][1]);

        if (a0.len > 0 && a1.len > 0 && b0.len > 0 && b1.len > 0 && span_eq(a0, b1) &&
            span_eq(a1, b0) && !span_eq(a0, a1))
            return true;
    }
    return false;
}

static bool joins(const struct guard_text *t)
{
    /* Where order does not matter. */
    return has(t, "and") || has(t, "or") || has(t, "vs") || has(t, "versus") ||
           has(t, "between") || has(t, "difference");
}

/* The same words, but two of them have changed places. */
bool guard_swapped(const struct guard_pair *p)
{
    const struct guard_word *a[GUARD_WORDS_MAX], *b[GUARD_WORDS_MAX];
    size_t n = content(&p->a, a), m = content(&p->b, b), apart[3], k = 0;

    if (n != m || n < 2 || !same_set(p) || (joins(&p->a) && joins(&p->b)))
        return false;
    for (size_t i = 0; i < n && k < 3; i++) {
        if (!span_eq(a[i]->text, b[i]->text))
            apart[k++] = i;
    }
    return k == 2 && span_eq(a[apart[0]]->text, b[apart[1]]->text) &&
           span_eq(a[apart[1]]->text, b[apart[0]]->text);
}

/* --- names ------------------------------------------------------------------------------- */

/* A name, or a rare word: who changes it asks for something else. */
static bool is_name(const struct guard_word *w)
{
    return !w->matched && !w->stop && !w->number && w->raw.len > 1 &&
           (w->capital || !guard_common(w->raw));
}

static size_t own_words(const struct guard_text *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++)
        n += !t->words[i].matched && !t->words[i].stop;
    return n;
}

/* Each has a name that the other has not; or all that differs is one rare word for
 * another. A slip of the finger is neither. */
bool guard_name(const struct guard_pair *p)
{
    bool alone = own_words(&p->a) == 1 && own_words(&p->b) == 1;

    for (size_t i = 0; i < p->a.count; i++) {
        const struct guard_word *x = &p->a.words[i];

        for (size_t j = 0; is_name(x) && j < p->b.count; j++) {
            const struct guard_word *y = &p->b.words[j];

            if (is_name(y) && (alone || (x->capital && y->capital)) &&
                !guard_common_typo(x->raw, y->raw))
                return true;
        }
    }
    return false;
}
