#include "router/features.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SEEN_BITS 2048 /* for counting words that differ */
#define WORD_MAX  11   /* bytes of the longest word known, its end included */

enum kind { COMMON = 1, NEGATION, CONDITION, QUANTITY, WHAT, WHICH, WHY, HOW, MANY };

struct known {
    char word[WORD_MAX];
    unsigned char kind;
};

/* By the first letter. */
/* clang-format off */
static const struct known known[26][8] = {
    ['a' - 'a'] = {{"a", COMMON}, {"an", COMMON}, {"and", COMMON}, {"are", COMMON}, {"average", QUANTITY}, {"as", COMMON}, {"at", COMMON}},
    ['b' - 'a'] = {{"be", COMMON}, {"by", COMMON}},
    ['c' - 'a'] = {{"cannot", NEGATION}},
    ['d' - 'a'] = {{"double", QUANTITY}},
    ['e' - 'a'] = {{"each", QUANTITY}, {"every", QUANTITY}, {"except", NEGATION}, {"explain", WHY}},
    ['f' - 'a'] = {{"for", COMMON}, {"fewer", QUANTITY}, {"false", NEGATION}, {"from", COMMON}},
    ['h' - 'a'] = {{"half", QUANTITY}, {"how", HOW}, {"has", COMMON}, {"have", COMMON}},
    ['i' - 'a'] = {{"in", COMMON}, {"is", COMMON}, {"it", COMMON}, {"if", CONDITION}},
    ['l' - 'a'] = {{"less", QUANTITY}, {"left", QUANTITY}},
    ['m' - 'a'] = {{"more", QUANTITY}, {"many", MANY}, {"much", MANY}},
    ['n' - 'a'] = {{"not", NEGATION}, {"never", NEGATION}, {"no", NEGATION}},
    ['o' - 'a'] = {{"of", COMMON}, {"on", COMMON}, {"or", COMMON}},
    ['p' - 'a'] = {{"per", QUANTITY}, {"percent", QUANTITY}, {"prove", WHY}},
    ['r' - 'a'] = {{"remaining", QUANTITY}},
    ['s' - 'a'] = {{"suppose", CONDITION}, {"sum", QUANTITY}},
    ['t' - 'a'] = {{"the", COMMON}, {"to", COMMON}, {"that", COMMON}, {"this", COMMON}, {"than", QUANTITY}, {"total", QUANTITY}, {"times", QUANTITY}, {"twice", QUANTITY}},
    ['u' - 'a'] = {{"unless", CONDITION}},
    ['w' - 'a'] = {{"was", COMMON}, {"with", COMMON}, {"what", WHAT}, {"which", WHICH}, {"why", WHY}, {"when", CONDITION}},
};
/* clang-format on */

static const char *const names[FEATURES_COUNT] = {
    [FEATURE_BYTES] = "bytes",
    [FEATURE_WORDS] = "words",
    [FEATURE_DISTINCT] = "distinct_words",
    [FEATURE_WORD_BYTES] = "word_bytes",
    [FEATURE_SENTENCES] = "sentences",
    [FEATURE_LINES] = "lines",
    [FEATURE_OPTIONS] = "options",
    [FEATURE_NUMBERS] = "numbers",
    [FEATURE_DIGITS] = "digits",
    [FEATURE_DIGIT_SHARE] = "digit_share",
    [FEATURE_UPPER_SHARE] = "upper_share",
    [FEATURE_FOREIGN_SHARE] = "foreign_share",
    [FEATURE_ENGLISH_SHARE] = "english_share",
    [FEATURE_MATHS] = "maths",
    [FEATURE_MONEY] = "money",
    [FEATURE_BRACKETS] = "brackets",
    [FEATURE_CODE] = "code",
    [FEATURE_QUESTIONS] = "questions",
    [FEATURE_BLANKS] = "blanks",
    [FEATURE_QUANTITY] = "quantity_words",
    [FEATURE_NEGATIONS] = "negation",
    [FEATURE_CONDITIONS] = "condition",
    [FEATURE_HOW_MANY] = "how_many",
    [FEATURE_WHAT] = "what",
    [FEATURE_WHICH] = "which",
    [FEATURE_WHY] = "why",
};

const char *features_name(enum feature f)
{
    return names[f];
}

struct counts {
    size_t words, distinct, word_bytes, sentences, lines, options, numbers, digits, upper,
        foreign, maths, money, brackets, code, questions, blanks, how_many;
    size_t kinds[MANY + 1];
    uint8_t seen[SEEN_BITS / 8];
    bool after_how;
};

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static unsigned kind_of(const char *word, size_t len)
{
    const struct known *row;

    if (len >= WORD_MAX || word[0] < 'a' || word[0] > 'z')
        return 0;
    row = known[word[0] - 'a'];
    for (size_t i = 0; i < 8 && row[i].kind != 0; i++) {
        if (memcmp(row[i].word, word, len) == 0 && row[i].word[len] == '\0')
            return row[i].kind;
    }
    return 0;
}

/* The word that begins at `i`; where it ends. */
static size_t count_word(struct counts *c, struct span t, size_t i)
{
    char lower[WORD_MAX] = "";
    uint32_t hash = 2166136261u; /* FNV-1a */
    size_t begin = i, len;
    unsigned kind, bit;

    for (; i < t.len; i++) {
        unsigned char b = (unsigned char)t.ptr[i];

        if (!is_letter(b) && b != '\'')
            break;
        c->upper += b >= 'A' && b <= 'Z';
        c->foreign += b >= 0x80;
        if (b >= 'A' && b <= 'Z')
            b = (unsigned char)(b | 0x20);
        if (i - begin < WORD_MAX)
            lower[i - begin] = (char)b;
        hash = (hash ^ b) * 16777619u;
    }
    len = i - begin;
    c->words++;
    c->word_bytes += len;
    bit = (hash ^ (hash >> 16)) % SEEN_BITS;
    c->distinct += (c->seen[bit / 8] >> (bit % 8) & 1) == 0;
    c->seen[bit / 8] = (uint8_t)(c->seen[bit / 8] | 1u << (bit % 8));
    kind = kind_of(lower, len);
    c->kinds[kind]++;
    c->how_many += kind == MANY && c->after_how;
    c->after_how = kind == HOW;
    return i;
}

/* Digits with points and commas within. */
static size_t count_number(struct counts *c, struct span t, size_t i)
{
    for (; i < t.len; i++) {
        unsigned char b = (unsigned char)t.ptr[i];
        bool within =
            (b == ',' || b == '.') && i + 1 < t.len && is_digit((unsigned char)t.ptr[i + 1]);

        if (!is_digit(b) && !within)
            break;
        c->digits += !within;
    }
    c->numbers++;
    return i;
}

/* What a line that begins at `i` tells: "A. …", "(b) …", "2) …". */
static void count_line(struct counts *c, struct span t, size_t i)
{
    unsigned char sign;

    if (i < t.len && t.ptr[i] == '(')
        i++;
    if (i + 1 >= t.len)
        return;
    sign = (unsigned char)t.ptr[i + 1];
    c->options += (sign == '.' || sign == ')' || sign == ':') && t.ptr[i] > 0 &&
                  (is_digit((unsigned char)t.ptr[i]) || is_letter((unsigned char)t.ptr[i]));
}

static void count_sign(struct counts *c, struct span t, size_t i)
{
    bool ends_line = i + 1 == t.len || t.ptr[i + 1] == '\n';
    bool ends = ends_line || t.ptr[i + 1] == ' ' || t.ptr[i + 1] == '\r';

    switch (t.ptr[i]) {
    case '\n':
        c->lines++;
        count_line(c, t, i + 1);
        break;
    case '?':
        c->questions++;
        c->sentences += ends;
        break;
    case '.':
    case '!':
        c->sentences += ends;
        break;
    case '$':
    case '%':
        c->money++;
        break;
    case '=':
    case '+':
    case '*':
    case '/':
    case '^':
    case '<':
    case '>':
        c->maths++;
        break;
    case '{':
    case '}':
        c->code += ends_line;
        c->brackets++;
        break;
    case '(':
    case ')':
    case '[':
    case ']':
        c->brackets++;
        break;
    case ';':
        c->code += ends_line;
        break;
    case '`':
        c->code++;
        break;
    case '_':
        c->blanks += i >= 2 && t.ptr[i - 1] == '_' && t.ptr[i - 2] == '_';
        break;
    default:
        break;
    }
}

static void count(struct counts *c, struct span t)
{
    size_t i = 0;

    count_line(c, t, 0);
    while (i < t.len) {
        unsigned char b = (unsigned char)t.ptr[i];

        if (is_letter(b))
            i = count_word(c, t, i);
        else if (is_digit(b))
            i = count_number(c, t, i);
        else
            count_sign(c, t, i++);
    }
}

static double log_of(size_t n)
{
    return log1p((double)n);
}

static double share(size_t k, size_t n)
{
    return n > 0 ? (double)k / (double)n : 0;
}

void features_of(struct span text, double *out)
{
    struct span t = {text.ptr, text.len < FEATURES_READ_MAX ? text.len : FEATURES_READ_MAX};
    struct counts c = {.words = 0};

    count(&c, t);
    out[FEATURE_BYTES] = log_of(text.len);
    out[FEATURE_WORDS] = log_of(c.words);
    out[FEATURE_DISTINCT] = log_of(c.distinct);
    out[FEATURE_WORD_BYTES] = share(c.word_bytes, c.words);
    out[FEATURE_SENTENCES] = log_of(c.sentences);
    out[FEATURE_LINES] = log_of(c.lines);
    out[FEATURE_OPTIONS] = log_of(c.options);
    out[FEATURE_NUMBERS] = log_of(c.numbers);
    out[FEATURE_DIGITS] = log_of(c.digits);
    out[FEATURE_DIGIT_SHARE] = share(c.digits, t.len);
    out[FEATURE_UPPER_SHARE] = share(c.upper, t.len);
    out[FEATURE_FOREIGN_SHARE] = share(c.foreign, t.len);
    out[FEATURE_ENGLISH_SHARE] = share(c.kinds[COMMON], c.words);
    out[FEATURE_MATHS] = log_of(c.maths);
    out[FEATURE_MONEY] = log_of(c.money);
    out[FEATURE_BRACKETS] = log_of(c.brackets);
    out[FEATURE_CODE] = log_of(c.code);
    out[FEATURE_QUESTIONS] = log_of(c.questions);
    out[FEATURE_BLANKS] = c.blanks > 0;
    out[FEATURE_QUANTITY] = log_of(c.kinds[QUANTITY]);
    out[FEATURE_NEGATIONS] = c.kinds[NEGATION] > 0;
    out[FEATURE_CONDITIONS] = c.kinds[CONDITION] > 0;
    out[FEATURE_HOW_MANY] = c.how_many > 0;
    out[FEATURE_WHAT] = c.kinds[WHAT] > 0;
    out[FEATURE_WHICH] = c.kinds[WHICH] > 0;
    out[FEATURE_WHY] = c.kinds[WHY] > 0;
}
