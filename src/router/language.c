/* Words that are common in one of these languages and rare in the others ("die" is left out: it
 * is English too). A language needs two of them, and twice as many as the next. Scripts: the
 * blocks of Unicode 15, chapter 2. What is not known is said to be so: a wrong guess would keep
 * a question from the model that could answer it. */
#include "router/language.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

#define READ_MAX   4096
#define WORD_MAX   16 /* bytes */
#define WORDS_MIN  2
#define SCRIPT_MIN 4 /* letters */

struct words {
    const char *language;
    const char *list; /* each between blanks */
};

static const struct words latin[] = {
    {"en", " the and of is what how which are with for that this does you why my can "},
    {"de",
     " der und das ist nicht wie ein eine welche mit von den auf für wird sind warum ich "},
    {"fr",
     " le les des et est une dans pour que qui quel quelle comment avec pas sont pourquoi du "},
    {"es", " el los las es qué cómo cuál para por una del y con cuáles porque está son "},
    {"it", " il che di è per un una come quale della sono perché gli nel quanto "},
    {"pt", " o os é uma não para como qual do da em por são você quais "},
    {"nl", " het een van wat hoe niet zijn voor met welke waarom dat op ik "},
};

static const struct {
    uint32_t from, to;
    const char *language;
} scripts[] = {
    {0x0370, 0x03ff, "el"}, {0x0400, 0x04ff, "ru"}, {0x0590, 0x05ff, "he"},
    {0x0600, 0x06ff, "ar"}, {0x0900, 0x097f, "hi"}, {0x0e00, 0x0e7f, "th"},
    {0x3040, 0x30ff, "ja"}, {0x4e00, 0x9fff, "zh"}, {0xac00, 0xd7af, "ko"},
};

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* Code point at s[i], and its bytes; what is no UTF-8 is one byte of nothing. */
static uint32_t point_at(struct span s, size_t i, size_t *bytes)
{
    const unsigned char *p = (const unsigned char *)s.ptr + i;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;
    uint32_t v = n == 1 ? 0 : p[0] & (0x7fu >> n);

    *bytes = 1;
    if (n == 1 || i + n > s.len)
        return 0;
    for (size_t k = 1; k < n; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[k] & 0x3fu);
    }
    *bytes = n;
    return v;
}

static const char *by_script(struct span s)
{
    size_t counts[ARRAY_LEN(scripts)] = {0}, ascii = 0, all = 0, best = 0, bytes;

    for (size_t i = 0; i < s.len; i += bytes) {
        uint32_t v = point_at(s, i, &bytes);

        ascii += bytes == 1 && is_letter((unsigned char)s.ptr[i]);
        for (size_t k = 0; k < ARRAY_LEN(scripts); k++) {
            if (v >= scripts[k].from && v <= scripts[k].to) {
                counts[k]++;
                all++;
            }
        }
    }
    for (size_t k = 1; k < ARRAY_LEN(scripts); k++)
        best = counts[k] > counts[best] ? k : best;
    /* Kana stand among Chinese characters, and never the other way round. */
    for (size_t k = 0; k < ARRAY_LEN(scripts); k++) {
        if (strcmp(scripts[k].language, "ja") == 0 && counts[k] > 0 && counts[k] * 4 >= all)
            best = k;
    }
    return all >= SCRIPT_MIN && all > ascii ? scripts[best].language : NULL;
}

static bool is_listed(const char *list, const char *word, size_t n)
{
    char wanted[WORD_MAX + 3];

    wanted[0] = ' ';
    memcpy(wanted + 1, word, n);
    wanted[n + 1] = ' ';
    wanted[n + 2] = '\0';
    return strstr(list, wanted) != NULL;
}

static void count_word(struct span s, size_t from, size_t to, size_t counts[ARRAY_LEN(latin)])
{
    char word[WORD_MAX];
    size_t n = to - from;

    if (n == 0 || n > WORD_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        char c = s.ptr[from + i];

        word[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    for (size_t k = 0; k < ARRAY_LEN(latin); k++)
        counts[k] += is_listed(latin[k].list, word, n);
}

static const char *by_words(struct span s)
{
    size_t counts[ARRAY_LEN(latin)] = {0}, best = 0, next = 0, from = 0;

    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && is_letter((unsigned char)s.ptr[i]))
            continue;
        count_word(s, from, i, counts);
        from = i + 1;
    }
    for (size_t k = 1; k < ARRAY_LEN(latin); k++)
        best = counts[k] > counts[best] ? k : best;
    for (size_t k = 0; k < ARRAY_LEN(latin); k++)
        next = k != best && counts[k] > next ? counts[k] : next;
    return counts[best] >= WORDS_MIN && counts[best] >= 2 * next ? latin[best].language : "";
}

const char *language_of(struct span text)
{
    const char *script;

    if (text.ptr == NULL)
        return "";
    if (text.len > READ_MAX)
        text.len = READ_MAX;
    script = by_script(text);
    return script != NULL ? script : by_words(text);
}
