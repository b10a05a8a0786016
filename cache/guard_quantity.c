#include "cache/guard_quantity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/* Units, each with its kind and its factor to the base of the kind. Written by us. A pound
 * is money or mass; a month is no number of days. Sorted. */
#define POUND       'P'
#define STERLING    'p'
#define MASS        'm'
#define POUND_GRAMS 453.592
#define CLOCK       'k' /* minutes since midnight */

/* clang-format off */
static const struct { const char *word; char kind; double factor; } units[] = {
    {"$", '$', 1}, {"%", '%', 1},
    {"buck", '$', 1}, {"byte", 'b', 1}, {"celsius", 'C', 1}, {"cent", '$', .01},
    {"centimeter", 'd', .01}, {"centimetre", 'd', .01}, {"century", 'M', 1200}, {"cm", 'd', .01},
    {"day", 't', 86400}, {"decade", 'M', 120}, {"dollar", '$', 1},
    {"eur", 'e', 1}, {"euro", 'e', 1}, {"fahrenheit", 'F', 1}, {"feet", 'd', .3048},
    {"foot", 'd', .3048}, {"fortnight", 't', 1209600}, {"ft", 'd', .3048},
    {"gallon", 'v', 3.78541}, {"gb", 'b', 1e9}, {"gbp", STERLING, 1}, {"ghz", 'h', 1e9},
    {"gigabyte", 'b', 1e9}, {"gram", MASS, 1}, {"hertz", 'h', 1}, {"hour", 't', 3600},
    {"hr", 't', 3600}, {"hz", 'h', 1}, {"inch", 'd', .0254}, {"inr", 'r', 1},
    {"jpy", 'y', 1}, {"kb", 'b', 1e3}, {"kelvin", 'K', 1}, {"kg", MASS, 1000},
    {"kilo", MASS, 1000}, {"kilobyte", 'b', 1e3}, {"kilogram", MASS, 1000},
    {"kilometer", 'd', 1000}, {"kilometre", 'd', 1000}, {"km", 'd', 1000}, {"kph", 's', 1},
    {"lb", MASS, POUND_GRAMS}, {"liter", 'v', 1}, {"litre", 'v', 1},
    {"mb", 'b', 1e6}, {"megabyte", 'b', 1e6}, {"meter", 'd', 1}, {"metre", 'd', 1},
    {"mhz", 'h', 1e6}, {"mile", 'd', 1609.344}, {"millimeter", 'd', .001},
    {"millisecond", 't', .001}, {"min", 't', 60}, {"minute", 't', 60}, {"ml", 'v', .001},
    {"mm", 'd', .001}, {"month", 'M', 1}, {"mph", 's', 1.609344}, {"ms", 't', .001},
    {"ounce", MASS, 28.3495}, {"oz", MASS, 28.3495}, {"penny", '$', .01},
    {"percent", '%', 1}, {"peso", 'o', 1}, {"pint", 'v', .473176}, {"pound", POUND, 1},
    {"quid", STERLING, 1}, {"rs", 'r', 1}, {"rupee", 'r', 1}, {"sec", 't', 1},
    {"second", 't', 1}, {"tb", 'b', 1e12}, {"terabyte", 'b', 1e12}, {"ton", MASS, 1e6},
    {"usd", '$', 1}, {"watt", 'w', 1}, {"week", 't', 604800}, {"yard", 'd', .9144},
    {"year", 'M', 12}, {"yen", 'y', 1}, {"yuan", 'u', 1},
    {"\xc2\xa3", STERLING, 1}, {"\xc2\xa5", 'y', 1}, {"\xe2\x82\xac", 'e', 1}, {"\xe2\x82\xb9", 'r', 1},
};

static const struct { const char *word; double value; bool soft, ordinal; } words[] = {
    {"billion", 1e9, true, false}, {"crore", 1e7, true, false}, {"dozen", 12, true, false}, {"eight", 8, false, false},
    {"eighteen", 18, false, false}, {"eighth", 8, true, true}, {"eighty", 80, false, false},
    {"eleven", 11, false, false}, {"fifteen", 15, false, false}, {"fifth", 5, true, true},
    {"fifty", 50, false, false}, {"first", 1, true, true}, {"five", 5, false, false},
    {"forty", 40, false, false}, {"four", 4, false, false}, {"fourteen", 14, false, false},
    {"fourth", 4, true, true}, {"half", .5, true, false}, {"hundred", 100, true, false}, {"lakh", 1e5, true, false},
    {"million", 1e6, true, false}, {"nine", 9, false, false}, {"nineteen", 19, false, false},
    {"ninety", 90, false, false}, {"ninth", 9, true, true}, {"once", 1, true, false},
    {"one", 1, true, false}, {"second", 2, true, true}, {"seven", 7, false, false},
    {"seventeen", 17, false, false}, {"seventh", 7, true, true}, {"seventy", 70, false, false},
    {"six", 6, false, false}, {"sixteen", 16, false, false}, {"sixth", 6, true, true},
    {"sixty", 60, false, false}, {"ten", 10, false, false}, {"tenth", 10, true, true},
    {"third", 3, true, true}, {"thirteen", 13, false, false}, {"thirty", 30, false, false},
    {"thousand", 1000, true, false}, {"three", 3, false, false}, {"twelve", 12, false, false},
    {"twenty", 20, false, false}, {"twice", 2, true, false}, {"two", 2, false, false},
    {"zero", 0, false, false},
};

/* What may stand directly behind the digits: "15k", "2m". */
static const struct { const char *word; double factor; } multipliers[] = {
    {"bn", 1e9}, {"k", 1e3}, {"m", 1e6}, {"mil", 1e6}, {"mn", 1e6},
};

static const struct { const char *word; double value; } romans[] = {
    {"ii", 2}, {"iii", 3}, {"iv", 4}, {"ix", 9}, {"vii", 7}, {"viii", 8}, {"xi", 11}, {"xii", 12},
};
/* clang-format on */

static bool is(struct span w, const char *word)
{
    return w.len > 0 && w.ptr[0] == word[0] && strncmp(w.ptr, word, w.len) == 0 &&
           word[w.len] == '\0';
}

/* Where a table has the word; its size when it has not. */
#define LOOK_UP(table, w, out)                                                                 \
    do {                                                                                       \
        (out) = ARRAY_LEN(table);                                                              \
        for (size_t look_ = 0; look_ < ARRAY_LEN(table); look_++) {                            \
            if (is((w), (table)[look_].word)) {                                                \
                (out) = look_;                                                                 \
                break;                                                                         \
            }                                                                                  \
        }                                                                                      \
    } while (0)

bool guard_quantity_is_sign(uint32_t c)
{
    return c == '$' || c == '%' || c == 0x20ac || c == 0xa3 || c == 0xa5 || c == 0x20b9;
}

static bool set_unit(struct guard_word *w, struct span name)
{
    size_t i;

    LOOK_UP(units, name, i);
    if (i == ARRAY_LEN(units) || units[i].kind == 0)
        return false;
    w->unit = units[i].kind;
    w->factor = units[i].factor;
    return true;
}

/* The digits at the beginning, "," left out; how many bytes they are, 0: none. */
static size_t read_digits(struct span s, double *out)
{
    char text[32];
    size_t n = 0, i = 0;
    bool dot = false;

    for (; i < s.len; i++) {
        bool digit = s.ptr[i] >= '0' && s.ptr[i] <= '9';

        if (s.ptr[i] == '.' && dot)
            return 0; /* 1.2.3 */
        dot |= s.ptr[i] == '.';
        if (!digit && s.ptr[i] != '.' && s.ptr[i] != ',')
            break;
        if (s.ptr[i] == ',')
            continue;
        if (n + 1 == sizeof(text))
            return 0;
        text[n++] = s.ptr[i];
    }
    text[n] = '\0';
    if (n == 0 || text[0] < '0' || text[0] > '9')
        return 0;
    *out = strtod(text, NULL);
    return i;
}

static void set_clock(struct guard_word *w, double minutes)
{
    w->number = true;
    w->count = minutes;
    w->unit = CLOCK;
}

/* "12:30": the minutes. */
static bool read_clock(struct guard_word *w)
{
    const char *p = w->raw.ptr;
    size_t colon = w->raw.len - 3;
    double hours = 0;

    if (w->raw.len < 4 || w->raw.len > 5 || p[colon] != ':')
        return false;
    for (size_t i = 0; i < w->raw.len; i++) {
        if (i != colon && (p[i] < '0' || p[i] > '9'))
            return false;
    }
    for (size_t i = 0; i < colon; i++)
        hours = hours * 10 + (p[i] - '0');
    set_clock(w, hours * 60 + (p[colon + 1] - '0') * 10 + (p[colon + 2] - '0'));
    return true;
}

static bool is_noon(struct span half)
{
    return span_eq(half, span_of("am")) || span_eq(half, span_of("pm"));
}

static void add_half_day(struct guard_word *w, struct span half)
{
    double minutes = w->unit == CLOCK ? w->count : w->count * 60;

    if (minutes >= 720)
        minutes -= 720; /* 12 am is 0:00, 12 pm is 12:00 */
    if (half.ptr[0] == 'p')
        minutes += 720;
    set_clock(w, minutes);
}

/* What follows the digits: nothing, an ending, a unit, a factor. */
static bool read_suffix(struct guard_word *w, struct span tail)
{
    static const char *const ordinals[] = {"st", "nd", "rd", "th", NULL};
    struct guard_word as_word = {.raw = tail};
    size_t i;

    if (tail.len == 0)
        return true;
    if (guard_text_among(&as_word, ordinals)) {
        w->ordinal = w->soft = true;
        return true;
    }
    if (is_noon(tail)) {
        add_half_day(w, tail);
        return true;
    }
    LOOK_UP(multipliers, tail, i);
    if (i < ARRAY_LEN(multipliers)) {
        w->count *= multipliers[i].factor;
        return true;
    }
    if (tail.len > 2 && tail.ptr[tail.len - 1] == 's')
        tail.len--;
    return set_unit(w, tail);
}

static void read_number(struct guard_word *w)
{
    size_t i, n;

    if (w->code)
        return;
    n = read_digits(w->raw, &w->count);
    if (n > 0 && read_suffix(w, (struct span){w->raw.ptr + n, w->raw.len - n})) {
        w->number = true;
        return;
    }
    if (read_clock(w))
        return;
    LOOK_UP(words, w->raw, i);
    if (i == ARRAY_LEN(words)) { /* "4 lakhs"; not "the seconds" */
        LOOK_UP(words, w->text, i);
        if (i < ARRAY_LEN(words) && words[i].value < 100)
            i = ARRAY_LEN(words);
    }
    if (i < ARRAY_LEN(words)) {
        w->number = true;
        w->count = words[i].value;
        w->soft = words[i].soft;
        w->ordinal = words[i].ordinal;
        return;
    }
    LOOK_UP(romans, w->raw, i);
    if (i < ARRAY_LEN(romans)) {
        w->number = true;
        w->count = romans[i].value;
        return;
    }
    /* "2fa", "v1.2", "h100", "12/21/17": no quantity, but as decisive as one. */
    for (i = 0; i < w->raw.len && !w->number; i++)
        w->number = w->raw.ptr[i] >= '0' && w->raw.ptr[i] <= '9';
    if (w->number)
        w->count = NAN;
}

/* "two hundred", "twenty five", "1.5 million", "half an hour": the second word is used up. */
static bool takes(struct guard_word *w, const struct guard_word *next)
{
    bool cardinal = w->number && !w->ordinal && !isnan(w->count);

    if (!cardinal || !next->number || next->ordinal || isnan(next->count) || next->unit != 0)
        return false;
    if (next->soft && next->count >= 12 && w->count > 0 && w->count < next->count * 1000) {
        w->count *= next->count;
        w->soft = false;
        return true;
    }
    if (w->raw.ptr[0] > '9' && next->raw.ptr[0] > '9' && w->count >= 20 && w->count < 100 &&
        next->count > 0 && next->count < 10 && !next->soft) {
        w->count += next->count;
        return true;
    }
    return false;
}

static bool takes_unit(struct guard_word *w, const struct guard_word *next)
{
    if (!w->number || w->ordinal || isnan(w->count))
        return false;
    if (is_noon(next->raw) && w->count < 24 * 60) {
        add_half_day(w, next->raw);
        return true;
    }
    if (w->unit != 0 || next->code || !set_unit(w, next->text))
        return false;
    w->soft = false; /* "one hour" */
    return true;
}

/* "$", "%", "€": not "dollar". */
static bool is_sign_word(const struct guard_word *w)
{
    return w->unit != 0 && !w->number && (w->raw.ptr[0] < 'a' || w->raw.ptr[0] > 'z');
}

/* "$" before "5", "rs" before "500": the number with that unit. */
static bool takes_number(struct guard_word *w, const struct guard_text *t, size_t i)
{
    char unit = w->unit;
    double factor = w->factor;

    if (!(is_sign_word(w) || unit == 'r') || i + 1 >= t->count || !t->words[i + 1].number ||
        t->words[i + 1].unit != 0 || isnan(t->words[i + 1].count))
        return false;
    *w = t->words[i + 1];
    w->unit = unit;
    w->factor = factor;
    w->soft = false;
    return true;
}

/* "half an hour" */
static bool is_half_a(const struct guard_word *w, const struct guard_text *t, size_t i)
{
    return i + 2 < t->count && guard_text_is(w, "half") &&
           (guard_text_is(&t->words[i + 1], "a") || guard_text_is(&t->words[i + 1], "an"));
}

/* "2. What is …": the number of a question in a list. */
static void drop_item_number(struct guard_text *t)
{
    struct guard_word *w = &t->words[0];

    if (t->count < 2 || !w->number || w->ordinal || w->raw.ptr[0] > '9' || !t->words[1].opens)
        return;
    t->count--;
    memmove(t->words, t->words + 1, t->count * sizeof(*w));
}

void guard_quantity_read(struct guard_text *t)
{
    size_t to = 0;

    for (size_t i = 0; i < t->count; i++)
        read_number(&t->words[i]);
    drop_item_number(t);
    for (size_t i = 0; i < t->count; i++) {
        struct guard_word w = t->words[i];

        if (!w.number && !w.code)
            (void)set_unit(&w, w.text);
        if (takes_number(&w, t, i))
            i++;
        while (w.number && i + 1 < t->count && takes(&w, &t->words[i + 1]))
            i++;
        if (is_half_a(&w, t, i) && takes_unit(&w, &t->words[i + 2]))
            i += 2;
        else if (w.number && i + 1 < t->count && takes_unit(&w, &t->words[i + 1]))
            i++;
        if (w.number && !w.soft)
            w.stop = false;
        t->words[to++] = w;
    }
    t->count = to;
}

static bool is_decimal(const struct guard_word *w)
{
    return w->unit == 0 && memchr(w->raw.ptr, '.', w->raw.len) != NULL;
}

bool guard_quantity_equal(const struct guard_word *a, const struct guard_word *b)
{
    double x = a->count, y = b->count;

    if (isnan(x) || isnan(y) || (is_decimal(a) && is_decimal(b)))
        return span_eq(a->raw, b->raw); /* 3.10 is not 3.1: a version, as likely */
    /* "May 2" is "May 2nd"; "two" is not "second". */
    if (a->ordinal != b->ordinal && (a->raw.ptr[0] > '9' || b->raw.ptr[0] > '9'))
        return false;
    if (a->unit != 0 && b->unit != 0) {
        bool pounds = a->unit == POUND || b->unit == POUND;
        char other = a->unit == POUND ? b->unit : a->unit;

        if (a->unit != b->unit && !(pounds && (other == STERLING || other == MASS)))
            return false;
        x *= a->unit == POUND && other == MASS ? POUND_GRAMS : a->factor;
        y *= b->unit == POUND && other == MASS ? POUND_GRAMS : b->factor;
    } else if ((a->unit == CLOCK) != (b->unit == CLOCK)) {
        x *= a->unit == CLOCK ? 1 : 60; /* "at 7", "at 7:00" */
        y *= b->unit == CLOCK ? 1 : 60;
    }
    return fabs(x - y) <= 1e-6 * (fabs(x) + fabs(y));
}
