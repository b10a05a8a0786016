/* Something else is to be done with the same: "summarize this" / "translate this", "write a
 * poem about" / "write an essay about". Only of texts that begin with what is to be done, and a
 * word of one group against a word of another; within a group they ask for much the same. */
#include "cache/guard_list.h"

static const char *const deeds[][8] = {
    {"summarize", "summarise", "summary", "shorten", "condense", "abridge", NULL},
    {"translate", "translation", NULL},
    {"list", "enumerate", "name", NULL},
    {"explain", "describe", "elaborate", "define", "discuss", NULL},
    {"rewrite", "rephrase", "paraphrase", "reword", NULL},
    {"proofread", "correct", "fix", NULL},
    {"classify", "categorize", "categorise", "label", NULL},
    {"compare", "contrast", NULL},
    {"count", NULL},
    {"sort", "order", "rank", NULL},
    {"analyze", "analyse", "evaluate", "review", "criticize", "critique", NULL},
    {"test", "debug", "refactor", "optimize", "optimise", NULL},
};
static const char *const forms[][8] = {
    {"poem", "haiku", "sonnet", "limerick", "rhyme", "verse", NULL},
    {"song", "lyrics", NULL},
    {"essay", "article", "report", "paper", NULL},
    {"story", "tale", NULL},
    {"email", "letter", "mail", NULL},
    {"joke", NULL},
    {"speech", "talk", NULL},
    {"headline", "title", "slogan", "tagline", NULL},
    {"tweet", NULL},
    {"table", "spreadsheet", NULL},
    {"summary", "outline", NULL},
    {"recipe", NULL},
    {"function", "script", "program", "class", NULL},
    {"query", "regex", NULL},
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The group of an own word, or COUNT(list). */
static size_t group(const struct guard_word *w, const char *const list[][8], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (w->partner == GUARD_TEXT_NONE && guard_text_among(w, list[i]))
            return i;
    }
    return count;
}

/* Where it begins, beyond "please", "can you": with a verb that says what to do. */
static size_t begins(const struct guard_text *t)
{
    static const char *const polite[] = {"please", "can", "could", "would", "will", "you",
                                         "help",   "me",  "i",     "need",  "want", "to",
                                         "hi",     "hey", "hello", NULL};
    size_t i = 0;

    while (i < t->count && guard_text_among(&t->words[i], polite))
        i++;
    return i;
}

static bool find_deeds(const struct guard_pair *p, struct guard_conflict *where)
{
    size_t i = begins(p->a), j = begins(p->b), x, y;

    if (i == p->a->count || j == p->b->count)
        return false;
    x = group(&p->a->words[i], deeds, COUNT(deeds));
    y = group(&p->b->words[j], deeds, COUNT(deeds));
    if (x == y || x == COUNT(deeds) || y == COUNT(deeds))
        return false;
    *where = (struct guard_conflict){i, j, 0, 0};
    return true;
}

/* The place of the form that is to be made: soon after "write", "make", …. */
static size_t find_form(const struct guard_text *t)
{
    static const char *const makes[] = {"write", "compose", "draft", "create", "generate",
                                        "make",  "tell",    "give",  NULL};
    size_t at = begins(t);

    if (at == t->count || !guard_text_among(&t->words[at], makes))
        return GUARD_TEXT_NONE;
    for (size_t i = at + 1; i < t->count && i < at + 6; i++) {
        if (group(&t->words[i], forms, COUNT(forms)) < COUNT(forms))
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_task(const struct guard_pair *p, struct guard_conflict *where)
{
    size_t i = find_form(p->a), j = find_form(p->b);

    if (find_deeds(p, where))
        return true;
    if (i == GUARD_TEXT_NONE || j == GUARD_TEXT_NONE ||
        group(&p->a->words[i], forms, COUNT(forms)) ==
            group(&p->b->words[j], forms, COUNT(forms)))
        return false;
    *where = (struct guard_conflict){i, j, 0, 0};
    return true;
}
