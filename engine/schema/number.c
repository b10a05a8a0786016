#include "engine/schema/number.h"

static number_units power(unsigned n)
{
    number_units p = 1;

    while (n-- > 0)
        p *= 10;
    return p;
}

static number_units largest(unsigned decimals)
{
    return power(NUMBER_DIGITS + decimals) - 1;
}

/* text = digits * 10^exponent; digits that would not fit are left out, *rest: not all zeros. */
struct decimal {
    number_units digits;
    long exponent;
    bool minus, rest;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static long exponent_of(struct span text)
{
    long e = 0;
    bool minus = text.len > 0 && text.ptr[0] == '-';

    for (size_t i = text.len > 0 && !is_digit(text.ptr[0]) ? 1 : 0; i < text.len; i++)
        e = e < 10000 ? e * 10 + (text.ptr[i] - '0') : e;
    return minus ? -e : e;
}

static struct decimal read_decimal(struct span text)
{
    struct decimal d = {0};
    bool point = false;
    size_t i = 0;

    if (text.len > 0 && text.ptr[0] == '-') {
        d.minus = true;
        i++;
    }
    for (; i < text.len && (is_digit(text.ptr[i]) || text.ptr[i] == '.'); i++) {
        if (text.ptr[i] == '.') {
            point = true;
        } else if (d.digits > power(33)) {
            d.rest = d.rest || text.ptr[i] != '0';
            d.exponent += !point;
        } else {
            d.digits = d.digits * 10 + (text.ptr[i] - '0');
            d.exponent -= point;
        }
    }
    if (i < text.len)
        d.exponent += exponent_of((struct span){text.ptr + i + 1, text.len - i - 1});
    while (d.digits != 0 && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    if (d.digits == 0)
        d.exponent = 0;
    return d;
}

unsigned number_decimals_of(struct span text)
{
    struct decimal d = read_decimal(text);

    if (d.rest || d.exponent < -(long)NUMBER_DECIMALS)
        return NUMBER_DECIMALS + 1;
    return d.exponent < 0 ? (unsigned)-d.exponent : 0;
}

number_units number_units_of(struct span text, unsigned decimals, bool up)
{
    struct decimal d = read_decimal(text);
    long e = d.exponent + (long)decimals;
    number_units most = largest(decimals), v = d.digits;
    bool rest = d.rest;

    for (; e > 0 && v <= most && v != 0; e--)
        v *= 10;
    for (; e < 0 && v != 0; e++) {
        rest = rest || v % 10 != 0;
        v /= 10;
    }
    /* Away from zero, where that is the way. */
    if (rest && up != d.minus)
        v++;
    v = v < most ? v : most;
    return d.minus ? -v : v;
}

/* Has from..to a multiple of `step`? */
static bool has_multiple(number_units from, number_units to, number_units step)
{
    number_units last = to / step * step;

    if (to < 0 && last > to)
        last -= step;
    return from <= to && last >= from;
}

bool number_range_has(const struct number_range *r)
{
    return has_multiple(r->least, r->most, r->step);
}

/* Is a number of the range among those of from..to units, without their sign? */
static bool has(const struct number_range *r, bool minus, number_units from, number_units to)
{
    number_units low = minus ? -to : from, high = minus ? -from : to;

    low = low > r->least ? low : r->least;
    high = high < r->most ? high : r->most;
    return has_multiple(low, high, r->step);
}

/* Is there an end from here? */
static bool has_end(const struct number_range *r, const struct number_part *p)
{
    number_units unit;

    if (p->count == 0) /* after a minus: zero has none */
        return has(r, true, 1, largest(r->decimals));
    unit = power(r->decimals - p->decimals);
    if (has(r, p->minus, p->digits * unit, (p->digits + 1) * unit - 1))
        return true;
    if (p->point || p->digits == 0)
        return false;
    for (unsigned more = 1; p->count + more <= NUMBER_DIGITS; more++) {
        unit *= 10;
        if (has(r, p->minus, p->digits * unit, (p->digits + 1) * unit - 1))
            return true;
    }
    return false;
}

static bool go(const struct number_range *r, struct number_part *p, char c)
{
    if (c == '-') {
        if (p->minus || p->count > 0)
            return false;
        p->minus = true;
    } else if (c == '.') {
        if (p->point || p->count == 0 || r->decimals == 0)
            return false;
        p->point = true;
    } else if (!is_digit(c)) {
        return false;
    } else if (p->point) {
        if (p->decimals == r->decimals)
            return false;
        p->digits = p->digits * 10 + (c - '0');
        p->decimals++;
    } else {
        if (p->count == NUMBER_DIGITS || (p->count == 1 && p->digits == 0))
            return false;
        p->digits = p->digits * 10 + (c - '0');
        p->count++;
    }
    return has_end(r, p);
}

bool number_go(const struct number_range *r, struct number_part *p, char c)
{
    struct number_part next = *p;

    if (!go(r, &next, c))
        return false;
    *p = next;
    return true;
}

bool number_is_whole(const struct number_range *r, const struct number_part *p)
{
    number_units v;

    if (p->count == 0 || (p->point && p->decimals == 0))
        return false;
    v = p->digits * power(r->decimals - p->decimals);
    return has(r, p->minus, v, v);
}
