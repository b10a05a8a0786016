#include "cache/guard_units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

static const struct {
    const char *word;
    double value;
} words[] = {
    {"zero", 0},     {"two", 2},        {"three", 3},     {"four", 4},        {"five", 5},
    {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},        {"ten", 10},
    {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14},   {"fifteen", 15},
    {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19},   {"twenty", 20},
    {"thirty", 30},  {"forty", 40},     {"fifty", 50},    {"sixty", 60},      {"seventy", 70},
    {"eighty", 80},  {"ninety", 90},    {"hundred", 100}, {"thousand", 1000}, {"million", 1e6},
    {"dozen", 12},   {"half", 0.5},
};

static const struct {
    const char *word;
    char kind;
    double factor;
} units[] = {
    {"second", 't', 1},       {"sec", 't', 1},
    {"minute", 't', 60},      {"min", 't', 60},
    {"hour", 't', 3600},      {"hr", 't', 3600},
    {"day", 't', 86400},      {"week", 't', 604800},
    {"month", 'M', 1},        {"year", 'M', 12},
    {"decade", 'M', 120},     {"mm", 'd', 0.001},
    {"cm", 'd', 0.01},        {"meter", 'd', 1},
    {"metre", 'd', 1},        {"km", 'd', 1000},
    {"kilometer", 'd', 1000}, {"kilometre", 'd', 1000},
    {"mile", 'd', 1609.344},  {"foot", 'd', 0.3048},
    {"feet", 'd', 0.3048},    {"inch", 'd', 0.0254},
    {"inche", 'd', 0.0254},   {"gram", 'm', 1},
    {"kg", 'm', 1000},        {"kilo", 'm', 1000},
    {"kilogram", 'm', 1000},  {"pound", 'm', 453.592},
    {"lb", 'm', 453.592},     {"ounce", 'm', 28.3495},
    {"kb", 'b', 1e3},         {"mb", 'b', 1e6},
    {"gb", 'b', 1e9},         {"tb", 'b', 1e12},
    {"dollar", '$', 1},       {"usd", '$', 1},
    {"percent", '%', 1},      {"%", '%', 1},
};

static bool parse(struct span s, double *out)
{
    char text[40], *end;
    size_t n = 0;

    if (s.len == 0 || s.len >= sizeof(text) || s.ptr[0] < '0' || s.ptr[0] > '9')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ',')
            continue;
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && s.ptr[i] != '.')
            return false;
        text[n++] = s.ptr[i];
    }
    text[n] = '\0';
    *out = strtod(text, &end);
    return *end == '\0';
}

void guard_units_number(struct guard_word *w)
{
    struct span raw = w->raw;
    size_t digits = 0;

    if (parse(raw, &w->value)) {
        w->number = true;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_eq(raw, span_of(words[i].word))) {
            w->number = true;
            w->value = words[i].value;
            return;
        }
    }
    /* "3rd", "2fa", "v1.2", "h100", "12:30": not a quantity, but as decisive as one. */
    for (size_t i = 0; i < raw.len; i++)
        digits += raw.ptr[i] >= '0' && raw.ptr[i] <= '9';
    if (digits > 0) {
        w->number = true;
        w->value = NAN;
    }
}

static bool find_unit(struct span s, char *kind, double *factor)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (span_eq(s, span_of(units[i].word))) {
            *kind = units[i].kind;
            *factor = units[i].factor;
            return true;
        }
    }
    return false;
}

void guard_units_join(struct guard_text *t)
{
    size_t to = 0;

    for (size_t i = 0; i < t->count; i++) {
        struct guard_word w = t->words[i];
        double factor;
        char kind;

        if (w.number && !isnan(w.value) && i + 1 < t->count &&
            find_unit(t->words[i + 1].text, &kind, &factor)) {
            w.unit = kind;
            w.value *= factor;
            i++;
        } else if (w.raw.len == 1 && w.raw.ptr[0] == '$' && i + 1 < t->count &&
                   t->words[i + 1].number) {
            w = t->words[++i];
            w.unit = '$';
        }
        t->words[to++] = w;
    }
    t->count = to;
}

bool guard_units_equal(const struct guard_word *a, const struct guard_word *b)
{
    if (isnan(a->value) || isnan(b->value))
        return span_eq(a->raw, b->raw);
    /* A unit left out is taken to be the other's. */
    if (a->unit != b->unit && a->unit != 0 && b->unit != 0)
        return false;
    return fabs(a->value - b->value) <= 1e-6 * (fabs(a->value) + fabs(b->value));
}
