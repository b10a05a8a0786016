#include "cache/resolve_text.h"

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

/* Lists of our own; words between blanks. "that" as the beginning of a clause is taken for one
 * that points back: such a turn is left alone. */
static const struct {
    unsigned kind;
    const char *words;
} lists[] = {
    {RESOLVE_STOP,
     " a an the of in on at for to from by with about as is are was were be been being am do "
     "does "
     "did done can could will would should shall may might must has have had having what who "
     "whom "
     "whose where when why how which and or but if than between into over under after before "
     "during since until through there tell me give show it its they them their there's what's "
     "who's where's how's describe explain please "},
    {RESOLVE_IT, " it its "},
    {RESOLVE_THEY, " they them their "},
    {RESOLVE_LEANS,
     " he him his she her hers himself herself itself themselves theirs this that these those "
     "such "
     "one ones both former latter other others another else same either neither more less most "
     "similar different better worse then so also too it's they're he's she's that's here each "
     "related following it'll it'd they've they'll "},
    {RESOLVE_PERSON,
     " i i'm i've i'd i'll my mine myself we we're we've we'd we'll our ours us you your yours "
     "you're you've you'd yourself u ur "},
    {RESOLVE_TALK,
     " again instead continue rephrase repeat shorter longer simpler elaborate summarize "
     "summarise "
     "translate rewrite said mentioned told answer question above previous previously earlier "
     "correct wrong sorry thanks thank ok okay yes no sure right exactly really actually go "
     "next "
     "now today tonight yesterday tomorrow currently "},
    {RESOLVE_MANNER,
     " briefly short simple simply sentence sentences words bullet bullets list table format "
     "json "
     "markdown style tone pretend imagine assume suppose only always never must don't avoid "
     "act "
     "expert beginner child kid eli5 english french german spanish italian portuguese chinese "
     "japanese russian language detail detailed step steps ignore let let's "},
    {RESOLVE_STARTS,
     " what who whom whose where when why how which is are was were do does did can could will "
     "would should has have had tell describe explain define what's who's where's "},
    {RESOLVE_RELATES,
     " symptom symptoms effect effects side cause causes treatment treatments type types kind "
     "kinds "
     "benefit benefits advantage advantages disadvantage disadvantages difference differences "
     "history origin origins feature features characteristic characteristics member members "
     "example examples part parts price prices cost costs reason reasons rule rules root roots "
     "sign signs risk risks use uses property properties theme themes character characters "
     "author "
     "authors award awards option options component components goal goals purpose impact "
     "importance role roles population capital size name names number requirement requirements "
     "problem problems solution solutions result results step steps way ways method methods "
     "issue issues food foods date dates plot ending meaning "},
    {RESOLVE_NOT, " not no never none nothing nobody nor without cannot can't don't doesn't "
                  "didn't isn't aren't "
                  "wasn't weren't won't wouldn't shouldn't couldn't hasn't haven't hadn't "},
    {RESOLVE_ENGLISH,
     " the of are were do does did what who whom whose how when where why which tell describe "
     "explain "
     "could should would about from there their they them its it what's who's with can "},
    {RESOLVE_JOINS, " and or but than between versus vs as like compared with "},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_word(const struct span s, size_t i)
{
    unsigned char c = (unsigned char)s.ptr[i];
    bool inner = i > 0 && i + 1 < s.len;

    if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    /* "river's", "half-life", "D.C." but for its last stop, "3.5" */
    return inner && strchr("'-.", c) != NULL && s.ptr[i - 1] != ' ' && s.ptr[i + 1] != ' ' &&
           strchr("?!.,\"", s.ptr[i + 1]) == NULL;
}

static void take_word(struct resolve_text *t, size_t from, size_t to)
{
    struct resolve_word *w = &t->words[t->count++];
    size_t n = 0;

    for (size_t i = from; i < to && n + 1 < sizeof(w->low); i++)
        w->low[n++] = lower(t->text.ptr[i]);
    w->low[n] = '\0';
    w->from = from;
    w->to = to;
    w->capital = from > 0 && t->text.ptr[from] >= 'A' && t->text.ptr[from] <= 'Z';
}

/* A sentence ends here, and more follows. A stop behind a letter that stands alone or behind
 * another stop is one of an abbreviation. */
static bool ends_sentence(const struct resolve_text *t, size_t i)
{
    const struct resolve_word *w = t->count > 0 ? &t->words[t->count - 1] : NULL;
    char c = t->text.ptr[i];

    if (c == '\n' || c == ';' || c == ':')
        return true;
    if (strchr("?!.", c) == NULL || i + 1 >= t->text.len)
        return false;
    if (c == '.' && w != NULL && (w->to - w->from == 1 || strchr(w->low, '.') != NULL))
        return false;
    return t->text.ptr[i + 1] == ' ';
}

bool resolve_text_read(struct span s, struct resolve_text *out)
{
    size_t from = 0;
    bool in = false;

    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\n')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\n'))
        s.len--;
    out->text = s;
    out->count = 0;
    out->many = false;
    if (s.len == 0 || s.len > RESOLVE_TEXT_BYTES_MAX || memchr(s.ptr, '\0', s.len) != NULL)
        return false;
    for (size_t i = 0; i <= s.len; i++) {
        bool word = i < s.len && is_word(s, i);

        if (word && !in)
            from = i;
        if (!word && in) {
            if (out->count == RESOLVE_TEXT_WORDS_MAX)
                return false;
            take_word(out, from, i);
        }
        if (i < s.len && !word && ends_sentence(out, i))
            out->many = true;
        in = word;
    }
    return out->count > 0;
}

bool resolve_text_is(const struct resolve_word *w, const char *word)
{
    return strcmp(w->low, word) == 0;
}

static bool in_list(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; n > 0 && (p = strstr(p, word)) != NULL; p++) {
        if (p[-1] == ' ' && p[n] == ' ')
            return true;
    }
    return false;
}

unsigned resolve_text_kind(const struct resolve_word *w)
{
    unsigned kind = 0;

    /* The country. */
    if (w->capital && resolve_text_is(w, "us"))
        return 0;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (in_list(lists[i].words, w->low))
            kind |= lists[i].kind;
    }
    return kind;
}

unsigned resolve_text_kinds(const struct resolve_text *t)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < t->count; i++)
        kinds |= resolve_text_kind(&t->words[i]);
    return kinds;
}

bool resolve_text_plural(const struct resolve_word *w)
{
    size_t n = strlen(w->low);

    return (n > 3 && w->low[n - 1] == 's' && strchr("sui", w->low[n - 2]) == NULL) ||
           resolve_text_is(w, "people") || resolve_text_is(w, "children") ||
           resolve_text_is(w, "men") || resolve_text_is(w, "women");
}

static size_t stem(const struct resolve_word *w)
{
    size_t n = strlen(w->low);

    if (n > 2 && strcmp(w->low + n - 2, "'s") == 0)
        n -= 2;
    else if (n > 3 && w->low[n - 1] == 's' && w->low[n - 2] != 's')
        n--;
    return n;
}

bool resolve_text_same(const struct resolve_word *a, const struct resolve_word *b)
{
    size_t n = stem(a);

    return n == stem(b) && memcmp(a->low, b->low, n) == 0;
}

size_t resolve_text_find(const struct resolve_text *t, const struct resolve_word *part,
                         size_t n)
{
    for (size_t i = 0; n > 0 && i + n <= t->count; i++) {
        size_t k = 0;

        while (k < n && resolve_text_same(&t->words[i + k], &part[k]))
            k++;
        if (k == n)
            return i;
    }
    return SIZE_MAX;
}
