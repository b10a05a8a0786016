/* Asked in another language: the answer is in that of the question. Told by function words
 * that no other language of the table has, two at least and twice as many as of any other, or
 * by the script of most words. What is of none of them is let pass. */
#include "base/compiler.h"
#include "base/unicode.h"
#include "cache/guard_list.h"

#define TOLD_BY 2 /* words */

enum language {
    EN,
    DE,
    FR,
    ES,
    PT,
    IT,
    NL,
    GREEK,
    CYRILLIC,
    HEBREW,
    ARABIC,
    DEVANAGARI,
    THAI,
    KANA, /* Japanese, which has the ideographs as well */
    IDEOGRAPHS,
    HANGUL,
    LANGUAGES,
    LATIN, /* all of it is in that script, of which language is not told */
    UNTOLD,
};

/* Written by us; what means something in another of them ("die", "was", "come") is not here.
 * Sorted by bytes. */
static const struct {
    const char *word;
    enum language of;
} words[] = {
    {"anche", IT},  {"and", EN},    {"ao", PT},      {"are", EN},     {"auf", DE},
    {"aux", FR},    {"avec", FR},   {"bij", NL},     {"can", EN},     {"cette", FR},
    {"che", IT},    {"cosa", IT},   {"could", EN},   {"cual", ES},    {"cuando", ES},
    {"cuanto", ES}, {"cuál", ES},   {"cuándo", ES},  {"cuánto", ES},  {"cuántos", ES},
    {"cómo", ES},   {"dans", FR},   {"degli", IT},   {"dei", IT},     {"della", IT},
    {"delle", IT},  {"der", DE},    {"deze", NL},    {"di", IT},      {"did", EN},
    {"does", EN},   {"donde", ES},  {"dónde", ES},   {"een", NL},     {"eine", DE},
    {"einem", DE},  {"einen", DE},  {"einer", DE},   {"el", ES},      {"est", FR},
    {"está", ES},   {"et", FR},     {"fare", IT},    {"fazer", PT},   {"for", EN},
    {"from", EN},   {"für", DE},    {"geen", NL},    {"gibt", DE},    {"gli", IT},
    {"hacer", ES},  {"has", EN},    {"have", EN},    {"het", NL},     {"hoe", NL},
    {"how", EN},    {"ich", DE},    {"ik", NL},      {"isso", PT},    {"ist", DE},
    {"it", EN},     {"kann", DE},   {"leur", FR},    {"mein", DE},    {"meine", DE},
    {"mejor", ES},  {"melhor", PT}, {"mes", FR},     {"meu", PT},     {"migliore", IT},
    {"mijn", NL},   {"minha", PT},  {"mio", IT},     {"muy", ES},     {"my", EN},
    {"naar", NL},   {"nella", IT},  {"nicht", DE},   {"niet", NL},    {"nos", FR},
    {"não", PT},    {"oder", DE},   {"onde", PT},    {"ook", NL},     {"où", FR},
    {"pela", PT},   {"pelo", PT},   {"perche", IT},  {"perché", IT},  {"pero", ES},
    {"peut", FR},   {"peux", FR},   {"più", IT},     {"pour", FR},    {"pourquoi", FR},
    {"puedo", ES},  {"puis", FR},   {"quais", PT},   {"quale", IT},   {"quanto", IT},
    {"quel", FR},   {"quelle", FR}, {"quels", FR},   {"questa", IT},  {"questo", IT},
    {"qué", ES},    {"según", ES},  {"should", EN},  {"sind", DE},    {"sono", IT},
    {"sont", FR},   {"são", PT},    {"that", EN},    {"the", EN},     {"there", EN},
    {"these", EN},  {"this", EN},   {"tiene", ES},   {"to", EN},      {"uma", PT},
    {"und", DE},    {"une", FR},    {"voce", PT},    {"você", PT},    {"vom", DE},
    {"voor", NL},   {"waar", NL},   {"waarom", NL},  {"wanneer", NL}, {"warum", DE},
    {"wat", NL},    {"welche", DE}, {"welcher", DE}, {"welke", NL},   {"wenn", DE},
    {"werden", DE}, {"what", EN},   {"when", EN},    {"where", EN},   {"which", EN},
    {"why", EN},    {"wie", DE},    {"wird", DE},    {"with", EN},    {"worden", NL},
    {"wordt", NL},  {"would", EN},  {"your", EN},    {"zijn", NL},    {"zu", DE},
    {"zum", DE},    {"zur", DE},    {"é", PT},
};

/* Unicode's blocks of the scripts. */
static const struct {
    uint32_t first, last;
    enum language of;
} scripts[] = {
    {0x370, 0x3FF, GREEK},  {0x400, 0x52F, CYRILLIC},     {0x590, 0x5FF, HEBREW},
    {0x600, 0x6FF, ARABIC}, {0x900, 0x97F, DEVANAGARI},   {0xE00, 0xE7F, THAI},
    {0x3040, 0x30FF, KANA}, {0x4E00, 0x9FFF, IDEOGRAPHS}, {0xAC00, 0xD7AF, HANGUL},
};

/* The script of the first character, or the language that has the word. */
static enum language word_language(struct span w)
{
    size_t low = 0, high = ARRAY_LEN(words), at = 0;
    uint32_t c;

    if (!unicode_next(w, &at, &c))
        return UNTOLD;
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        if (c >= scripts[i].first && c <= scripts[i].last)
            return scripts[i].of;
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = span_order(w, span_of(words[mid].word));

        if (order == 0)
            return words[mid].of;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return UNTOLD;
}

static enum language told(const struct guard_text *t)
{
    size_t of[UNTOLD + 1] = {0}, foreign = 0;
    enum language best = EN;

    for (size_t i = 0; i < t->count; i++)
        of[word_language(t->words[i].raw)]++;
    for (enum language l = GREEK; l < LANGUAGES; l++) {
        if (2 * of[l] > t->count)
            return l;
        foreign += of[l];
    }
    if (foreign > 0)
        return UNTOLD;
    for (enum language l = DE; l <= NL; l++)
        best = of[l] > of[best] ? l : best;
    for (enum language l = EN; l <= NL; l++) {
        if (l != best && 2 * of[l] > of[best])
            return LATIN;
    }
    return of[best] >= TOLD_BY ? best : LATIN;
}

bool guard_language(const struct guard_pair *p, struct guard_conflict *where)
{
    enum language a = told(p->a), b = told(p->b);

    (void)where;
    if (a == b || a == UNTOLD || b == UNTOLD)
        return false;
    /* Latin letters alone may be of any language that is written in them. */
    return (a != LATIN && b != LATIN) || (a == LATIN && b > NL) || (b == LATIN && a > NL);
}
