#include "privacy/detect/detect.h"

#include <string.h>

#include "privacy/checksum.h"

#define DIGITS_MAX 19
#define GROUPS_MAX 8

/* Digits from a place on, with one separator between two groups of them. */
struct run {
    char digit[DIGITS_MAX];
    size_t count;
    unsigned char group[GROUPS_MAX]; /* digits of each */
    char separator[GROUPS_MAX];      /* before each but the first */
    size_t ends[GROUPS_MAX];         /* of the text: behind each */
    size_t groups, end;
};

/* The first groups of it. */
static void run_cut(struct run *r, size_t groups)
{
    r->count = 0;
    r->groups = groups;
    for (size_t i = 0; i < groups; i++)
        r->count += r->group[i];
    r->end = groups > 0 ? r->ends[groups - 1] : 0;
}

/* One that has no end within reach is read up to the last group that is whole. */
static bool run_add(struct run *r, char c, size_t i)
{
    if (r->count == DIGITS_MAX)
        return false;
    r->digit[r->count++] = c;
    r->group[r->groups - 1]++;
    r->ends[r->groups - 1] = r->end = i + 1;
    return true;
}

static bool run_at(struct span t, size_t at, const char *separators, struct run *out)
{
    struct run r = {.groups = 1};

    for (size_t i = at;; i++) {
        char c = detect_at(t, i);

        if (detect_digit(c)) {
            if (run_add(&r, c, i))
                continue;
            run_cut(&r, r.groups - 1);
            break;
        }
        if (i >= t.len || c == '\0' || strchr(separators, c) == NULL ||
            !detect_digit(detect_at(t, i + 1)) || r.groups == GROUPS_MAX)
            break;
        r.separator[r.groups++] = c;
    }
    if (r.groups > 0 && detect_wordy(detect_at(t, r.end)))
        run_cut(&r, r.groups - 1);
    *out = r;
    return r.count > 0;
}

/* Does it begin with groups of these widths? */
static bool groups_are(const struct run *r, const char *widths)
{
    size_t n = strlen(widths);

    if (r->groups < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (r->group[i] != (unsigned char)(widths[i] - '0'))
            return false;
    }
    return true;
}

/* --- payment cards --------------------------------------------------------------------------
 */

/* Beginnings and lengths of the issuers (ISO/IEC 7812; the networks' published ranges). */
static bool is_issuer(const char *d, size_t n)
{
    unsigned two = (unsigned)(d[0] - '0') * 10 + (unsigned)(d[1] - '0');
    unsigned four = two * 100 + (unsigned)(d[2] - '0') * 10 + (unsigned)(d[3] - '0');

    if (d[0] == '4')
        return n == 16 || n == 19; /* Visa */
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720))
        return n == 16; /* Mastercard */
    if (two == 34 || two == 37)
        return n == 15; /* American Express */
    if (four == 6011 || two == 65 || (four >= 6440 && four <= 6499))
        return n >= 16 && n <= 19; /* Discover */
    if (two == 36 || two == 38 || two == 39 || (four >= 3000 && four <= 3059))
        return n == 14 || n == 16; /* Diners Club */
    if (four >= 3528 && four <= 3589)
        return n >= 16 && n <= 19; /* JCB */
    if (two == 62)
        return n >= 16 && n <= 19; /* UnionPay */
    return n >= 16 && n <= 19 &&
           (four == 5018 || four == 5020 || four == 5038 || four == 6304 ||
            (four >= 6759 && four <= 6763)); /* Maestro */
}

size_t detect_card(struct span t, size_t at)
{
    static const char *const shapes[] = {"4444", "465", "464", "44443"};
    char before = detect_before(t, at);
    struct run r;

    if (before == '.' || before == '-' || before == '+' || !run_at(t, at, " -", &r))
        return 0;
    if (r.group[0] != 4)
        run_cut(&r, 1);
    for (size_t i = 0; r.groups > 1 && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct run one = r;

        if (!groups_are(&r, shapes[i]))
            continue;
        run_cut(&one, strlen(shapes[i]));
        if (one.separator[1] == one.separator[2] && is_issuer(one.digit, one.count) &&
            checksum_luhn(one.digit, one.count))
            return one.end - at;
    }
    return r.groups == 1 && r.count >= 14 && detect_at(t, r.end) != '-' &&
                   is_issuer(r.digit, r.count) && checksum_luhn(r.digit, r.count)
               ? r.end - at
               : 0;
}

/* --- IBAN -----------------------------------------------------------------------------------
 */

/* Countries and lengths: SWIFT's IBAN Registry, release 99. */
static const char ibans[] =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29"
    "ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28"
    "LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25"
    "QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

static size_t iban_length(struct span t, size_t at)
{
    for (size_t i = 0; i + 4 < sizeof(ibans); i += 4) {
        if (ibans[i] == (detect_at(t, at) & ~0x20) &&
            ibans[i + 1] == (detect_at(t, at + 1) & ~0x20))
            return (size_t)(ibans[i + 2] - '0') * 10 + (size_t)(ibans[i + 3] - '0');
    }
    return 0;
}

size_t detect_iban(struct span t, size_t at)
{
    char text[34];
    size_t want, n = 0, i = at;

    if (!detect_letter(detect_at(t, at)) || !detect_letter(detect_at(t, at + 1)) ||
        !detect_digit(detect_at(t, at + 2)) || !detect_digit(detect_at(t, at + 3)))
        return 0;
    want = iban_length(t, at);
    while (n < want) {
        char c = detect_at(t, i);

        if (detect_alnum(c))
            text[n++] = c;
        else if (i >= t.len || n == 0 || (c != ' ' && c != '-') ||
                 !detect_alnum(detect_at(t, i + 1)))
            return 0;
        i++;
    }
    return want > 0 && !detect_wordy(detect_at(t, i)) && checksum_iban(text, want) ? i - at : 0;
}

/* --- telephone ------------------------------------------------------------------------------
 */

static const char *const phone_names[] = {
    "phone", "tel", "call ",   "mobil", "cell",  "fax",      "whatsapp", "telefon",
    "ring ", "sms", "text me", "dial",  "handy", "reach me", "hotline",  NULL};
static const char *const other_numbers[] = {
    "isbn",    "order", "invoice", "ticket no",   "serial",   "issue",
    "part no", "sku",   "article", "version",     "tracking", "reference",
    "ref.",    "rfc",   "doi",     "customer no", "page",     NULL};

/* A group of digits in brackets is one of the number's: (030) 123, +49 (0)30. */
static bool phone_run(struct span t, size_t at, struct run *out)
{
    struct run r = {.groups = 1};
    bool open = false;

    for (size_t i = at; i < t.len; i++) {
        char c = t.ptr[i], next = detect_at(t, i + 1);

        if (detect_digit(c)) {
            if (run_add(&r, c, i))
                continue;
            run_cut(&r, r.groups - 1);
            break;
        }
        if (c == '(' && !open && i < at + 8)
            open = true;
        else if (c == ')' && open)
            open = false;
        else if (!(c == ' ' || c == '-' || c == '.' || c == '/') ||
                 !(detect_digit(next) || next == '('))
            break;
        if (r.group[r.groups - 1] == 0)
            continue;
        if (r.groups == GROUPS_MAX)
            break;
        r.separator[r.groups++] = c;
    }
    if (r.groups > 0 && r.group[r.groups - 1] == 0)
        run_cut(&r, r.groups - 1);
    if (r.groups > 0 && detect_wordy(detect_at(t, r.end)))
        run_cut(&r, r.groups - 1);
    *out = r;
    return r.count > 0;
}

/* [1] NXX NXX XXXX: the North American numbering plan. */
static bool is_american(const struct run *r)
{
    size_t one = r->group[0] == 1 && r->digit[0] == '1';
    const char *d = r->digit + one;

    return r->groups >= 3 + one && r->group[one] == 3 && r->group[one + 1] == 3 &&
           r->group[one + 2] == 4 && d[0] >= '2' && d[3] >= '2' &&
           r->separator[one + 1] != '/' && r->separator[one + 2] != '/';
}

/* 0 and an area, then at least one more group: most of Europe, and others. */
static bool is_national(const struct run *r)
{
    if (r->digit[0] != '0' || r->digit[1] == '0' || r->count < 9 || r->count > 12 ||
        r->groups < 2)
        return false;
    if (r->group[0] < 2 || r->group[0] > 5)
        return false;
    /* France: pairs of digits. */
    for (size_t i = 1; i < r->groups; i++) {
        if (r->group[i] < 2 || r->separator[i] == '.')
            return r->groups == 5 && groups_are(r, "22222");
    }
    return true;
}

/* The longest beginning of it, by groups, that is one. */
static size_t national(struct run r)
{
    for (; r.groups > 0; run_cut(&r, r.groups - 1)) {
        if (is_national(&r))
            return r.end;
    }
    return 0;
}

static size_t international(struct run r, size_t least)
{
    while (r.groups > 1 && r.count > 15)
        run_cut(&r, r.groups - 1);
    return r.count >= least && r.count <= 15 ? r.end : 0;
}

static bool within_another(struct span t, size_t from, const struct run *r)
{
    char next = detect_at(t, r->end);

    /* Within another number, a path, a decimal. */
    if (from > 0 &&
        (detect_wordy(t.ptr[from - 1]) || strchr("./-+=#$", t.ptr[from - 1]) != NULL))
        return true;
    return (next == '.' && detect_digit(detect_at(t, r->end + 1))) || next == '-' ||
           next == '%';
}

size_t detect_phone(struct span t, size_t at, size_t *start)
{
    char before = detect_before(t, at);
    bool plus = before == '+', bracket = before == '(';
    size_t from = plus || bracket ? at - 1 : at, end = 0;
    struct run r;

    if (!phone_run(t, bracket ? from : at, &r) || within_another(t, from, &r))
        return 0;
    *start = from;
    if (plus)
        end = r.digit[0] != '0' ? international(r, 8) : 0;
    else if (r.digit[0] == '0' && r.digit[1] == '0' && r.digit[2] >= '1' && r.groups >= 2 &&
             r.group[0] >= 4 && r.group[0] <= 5)
        end = international(r, 11);
    else if (detect_context(t, from, 18, other_numbers))
        return 0;
    else if (is_american(&r))
        end = r.ends[2 + (r.group[0] == 1)];
    else
        end = national(r);
    if (end == 0 && !plus && r.count >= 7 && r.count <= 15 &&
        detect_context(t, from, 20, phone_names))
        end = r.end;
    return end > from ? end - from : 0;
}

/* --- dates ----------------------------------------------------------------------------------
 */

static bool is_month(struct span t, size_t at, size_t *len)
{
    static const char *const months[] = {
        "January",   "February", "March",    "April",    "May",  "June", "July",    "August",
        "September", "October",  "November", "December", "Jan",  "Feb",  "Mar",     "Apr",
        "Jun",       "Jul",      "Aug",      "Sept",     "Sep",  "Oct",  "Nov",     "Dec",
        "Januar",    "Februar",  "März",     "Mai",      "Juni", "Juli", "Oktober", "Dezember"};
    size_t best = 0;

    for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
        size_t n = strlen(months[i]);

        if (n > best && t.len - at >= n && memcmp(t.ptr + at, months[i], n) == 0 &&
            !detect_letter(detect_at(t, at + n)))
            best = n;
    }
    *len = best;
    return best > 0;
}

/* "12. March 1985", "12th Mar 1985" */
static size_t written_date(struct span t, size_t at)
{
    size_t i = at, n;

    while (i - at < 2 && detect_digit(detect_at(t, i)))
        i++;
    if (t.len - i > 2 && detect_letter(t.ptr[i]) && detect_letter(t.ptr[i + 1]))
        i += 2;
    if (detect_at(t, i) == '.')
        i++;
    if (detect_at(t, i) != ' ' || i + 1 >= t.len || !is_month(t, i + 1, &n))
        return 0;
    i += 1 + n;
    i += detect_at(t, i) == '.' || detect_at(t, i) == ',';
    if (detect_at(t, i) != ' ')
        return 0;
    for (n = 1; n <= 4; n++) {
        if (!detect_digit(detect_at(t, i + n)))
            return 0;
    }
    return detect_wordy(detect_at(t, i + 5)) ? 0 : i + 5 - at;
}

size_t detect_date(struct span t, size_t at)
{
    struct run r;
    unsigned a, b;
    size_t n = detect_digit(detect_at(t, at)) ? written_date(t, at) : 0;

    if (n > 0 || !run_at(t, at, "-./", &r) || r.groups != 3 || r.separator[1] != r.separator[2])
        return n;
    if (detect_before(t, at) == '.' || detect_before(t, at) == '/' ||
        detect_at(t, r.end) == '.')
        n = detect_digit(detect_at(t, r.end + 1));
    if (n > 0)
        return 0;
    if (r.group[0] == 4 && r.group[1] <= 2 && r.group[2] <= 2) {
        a = checksum_mod(r.digit + 4, r.group[1], 100);
        b = checksum_mod(r.digit + 4 + r.group[1], r.group[2], 100);
        return a >= 1 && a <= 12 && b >= 1 && b <= 31 &&
                       (r.digit[0] == '1' || r.digit[0] == '2')
                   ? r.end - at
                   : 0;
    }
    if (r.group[2] != 4 || r.group[0] > 2 || r.group[1] > 2)
        return 0;
    a = checksum_mod(r.digit, r.group[0], 100);
    b = checksum_mod(r.digit + r.group[0], r.group[1], 100);
    return a >= 1 && b >= 1 && a <= 31 && b <= 31 && (a <= 12 || b <= 12) ? r.end - at : 0;
}
