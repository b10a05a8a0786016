/* Numbers by which states know people. Those whose check digits are few, or that look like any
 * other number, count only with their name before them. */
#include "privacy/detect/detect.h"

#include <string.h>

#include "privacy/checksum.h"

struct id {
    char d[20];     /* letters as capitals */
    char shape[28]; /* '9' a digit, 'A' a letter, separators as they are */
    size_t digits, count;
};

/* The word of letters and digits from `at` on, with single separators within it: the first
 * *groups of it, and how many there are. */
static size_t read_id(struct span t, size_t at, const char *separators, size_t *groups,
                      struct id *out)
{
    struct id x = {.count = 0};
    size_t i = at, end = at, shape = 0, seen = 1;

    for (;; i++) {
        char c = detect_at(t, i);

        if (detect_alnum(c)) {
            if (x.count == 19 || shape >= 26)
                break;
            x.digits += detect_digit(c);
            x.d[x.count++] = detect_letter(c) ? (char)(c & ~0x20) : c;
            x.shape[shape++] = detect_digit(c) ? '9' : 'A';
            end = i + 1;
        } else if (i < t.len && c != '\0' && strchr(separators, c) != NULL &&
                   detect_alnum(detect_at(t, i + 1)) && shape < 26 && seen < *groups) {
            seen++;
            x.shape[shape++] = c;
        } else {
            break;
        }
    }
    x.shape[shape] = '\0';
    *out = x;
    *groups = seen;
    return detect_wordy(detect_at(t, end)) ? 0 : end - at;
}

static unsigned two(const char *d)
{
    return (unsigned)(d[0] - '0') * 10 + (unsigned)(d[1] - '0');
}

static bool is_day(unsigned month, unsigned day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static bool is(const struct id *x, const char *shape)
{
    return strcmp(x->shape, shape) == 0;
}

/* --- of digits ------------------------------------------------------------------------------
 */

/* United States, SSN: no check digit; areas that are never given (SSA, 2011). */
static bool american(const struct id *x)
{
    return is(x, "999-99-9999") && memcmp(x->d, "000", 3) != 0 && memcmp(x->d, "666", 3) != 0 &&
           x->d[0] != '9' && memcmp(x->d + 3, "00", 2) != 0 && memcmp(x->d + 5, "0000", 4) != 0;
}

/* Brazil, CPF. */
static bool brazilian(const struct id *x)
{
    static const unsigned char w[] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2};
    unsigned a, b;

    if (!is(x, "999.999.999-99") && !is(x, "99999999999"))
        return false;
    if (strspn(x->d, (const char[]){x->d[0], '\0'}) == 11)
        return false;
    a = checksum_weighted(x->d, w + 1, 9, 11);
    b = checksum_weighted(x->d, w, 10, 11);
    return x->d[9] == (a < 2 ? '0' : (char)('0' + 11 - a)) &&
           x->d[10] == (b < 2 ? '0' : (char)('0' + 11 - b));
}

/* Poland, PESEL: a date, its century in the month. */
static bool polish(const struct id *x)
{
    static const unsigned char w[] = {1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1};

    return is(x, "99999999999") && is_day(two(x->d + 2) % 20, two(x->d + 4)) &&
           checksum_weighted(x->d, w, 11, 10) == 0;
}

/* Belgium, rijksregisternummer: 97 less the rest; those born from 2000 on with a 2 before. */
static bool belgian(const struct id *x)
{
    unsigned rest = 97 - two(x->d + 9);

    if (!is(x, "99.99.99-999.99") && !is(x, "99999999999"))
        return false;
    if (!is_day(two(x->d + 2), two(x->d + 4)))
        return false;
    return checksum_mod(x->d, 9, 97) == rest ||
           (checksum_mod(x->d, 9, 97) + 2000000000u % 97) % 97 == rest;
}

/* Switzerland, AHV: an EAN-13 of 756. */
static bool swiss(const struct id *x)
{
    static const unsigned char w[] = {1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1};

    return (is(x, "999.9999.9999.99") || is(x, "9999999999999")) &&
           memcmp(x->d, "756", 3) == 0 && checksum_weighted(x->d, w, 13, 10) == 0;
}

/* Sweden, personnummer. */
static bool swedish(const struct id *x)
{
    const char *d = x->d;

    if (is(x, "99999999-9999"))
        d += 2;
    else if (!is(x, "999999-9999"))
        return false;
    return is_day(two(d + 2), two(d + 4)) && checksum_luhn(d, 10);
}

/* China, GB 11643: a date of birth, ISO 7064 MOD 11-2. */
static bool chinese(const struct id *x)
{
    static const unsigned char w[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};

    if (!is(x, "999999999999999999") && !is(x, "99999999999999999A"))
        return false;
    return (memcmp(x->d + 6, "19", 2) == 0 || memcmp(x->d + 6, "20", 2) == 0) &&
           is_day(two(x->d + 10), two(x->d + 12)) &&
           x->d[17] == "10X98765432"[checksum_weighted(x->d, w, 17, 11)];
}

/* France, NIR: sex, year, month, then a key of 97 less the rest. */
static bool french(const struct id *x)
{
    unsigned month = two(x->d + 3);

    if (!is(x, "999999999999999") && !is(x, "9 99 99 99 999 999 99"))
        return false;
    return (x->d[0] == '1' || x->d[0] == '2') && month >= 1 && month <= 12 &&
           checksum_mod(x->d, 13, 97) + two(x->d + 13) == 97;
}

/* India, Aadhaar. */
static bool indian(const struct id *x)
{
    return (is(x, "9999 9999 9999") || is(x, "9999-9999-9999")) && x->d[0] >= '2' &&
           checksum_verhoeff(x->d, 12);
}

/* --- of digits that need their name ---------------------------------------------------------
 */

/* Germany, Steuer-ID: one digit twice or thrice among the first ten. */
static bool german(const struct id *x)
{
    unsigned count[10] = {0}, doubles = 0;

    if (!is(x, "99999999999") && !is(x, "99 999 999 999"))
        return false;
    for (size_t i = 0; i < 10; i++)
        count[x->d[i] - '0']++;
    for (size_t i = 0; i < 10; i++) {
        doubles += count[i] == 2 || count[i] == 3;
        if (count[i] > 3)
            return false;
    }
    return x->d[0] != '0' && doubles == 1 && checksum_mod11_10(x->d, 11);
}

/* Netherlands, BSN. */
static bool dutch(const struct id *x)
{
    static const unsigned char w[] = {9, 8, 7, 6, 5, 4, 3, 2, 10};

    return is(x, "999999999") && checksum_weighted(x->d, w, 9, 11) == 0;
}

/* England, NHS number. */
static bool english(const struct id *x)
{
    static const unsigned char w[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};

    return (is(x, "999 999 9999") || is(x, "9999999999") || is(x, "999-999-9999")) &&
           checksum_weighted(x->d, w, 10, 11) == 0;
}

/* Canada, SIN. */
static bool canadian(const struct id *x)
{
    return (is(x, "999 999 999") || is(x, "999-999-999") || is(x, "999999999")) &&
           checksum_luhn(x->d, 9);
}

static const char *const person_names[] = {"steuer",
                                           "idnr",
                                           "tax id",
                                           "tax number",
                                           "tin",
                                           "bsn",
                                           "burgerservice",
                                           "nhs",
                                           "sin ",
                                           "sin:",
                                           "social insurance",
                                           "national id",
                                           "identity number",
                                           "identification number",
                                           "personal number",
                                           "sozialversicherung",
                                           NULL};

/* --- with letters ---------------------------------------------------------------------------
 */

/* United Kingdom, National Insurance number (HMRC, NIM39110). */
static bool british(const struct id *x)
{
    static const char *const never[] = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"};

    if (!is(x, "AA999999A") && !is(x, "AA 99 99 99 A"))
        return false;
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (memcmp(x->d, never[i], 2) == 0)
            return false;
    }
    return strchr("DFIQUV", x->d[0]) == NULL && strchr("DFIQUVO", x->d[1]) == NULL &&
           x->d[8] <= 'D';
}

/* Spain, DNI and NIE. */
static bool spanish(const struct id *x)
{
    char d[8];

    if (is(x, "99999999A") || is(x, "99999999-A")) {
        memcpy(d, x->d, 8);
    } else if ((is(x, "A9999999A") || is(x, "A-9999999-A")) && x->d[0] >= 'X') {
        memcpy(d, x->d, 8);
        d[0] = (char)('0' + x->d[0] - 'X');
    } else {
        return false;
    }
    return x->d[8] == "TRWAGMYFPDXBNJZSQVHLCKE"[checksum_mod(d, 8, 23)];
}

/* Italy, codice fiscale (D.M. 23 December 1976). */
static bool italian(const struct id *x)
{
    static const unsigned char odd[] = {1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
                                        20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
    unsigned sum = 0;

    if (!is(x, "AAAAAA99A99A999A"))
        return false;
    for (size_t i = 0; i < 15; i++) {
        unsigned v =
            detect_digit(x->d[i]) ? (unsigned)(x->d[i] - '0') : (unsigned)(x->d[i] - 'A');

        sum += i % 2 == 0 ? odd[v] : v;
    }
    return x->d[15] == (char)('A' + sum % 26);
}

/* Finland, HETU. */
static bool finnish(const struct id *x)
{
    char d[9];
    size_t check = 9;

    if (x->count < 10 || (!is(x, "999999-999A") && !is(x, "999999-9999") &&
                          !is(x, "999999A999A") && !is(x, "999999A9999")))
        return false;
    memcpy(d, x->d, 6);
    if (x->shape[6] == 'A') {
        if (x->d[6] != 'A')
            return false;
        check = 10;
    }
    memcpy(d + 6, x->d + check - 3, 3);
    return is_day(two(d + 2), two(d)) &&
           x->d[check] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[checksum_mod(d, 9, 31)];
}

static bool is_id(struct span t, size_t at, const struct id *x)
{
    static bool (*const sure[])(const struct id *) = {
        american, brazilian, polish,  belgian, swiss,   swedish, chinese,
        french,   indian,    british, spanish, italian, finnish,
    };
    static bool (*const named[])(const struct id *) = {german, dutch, english, canadian};

    if (x->digits < 6 || x->count < 9)
        return false;
    for (size_t i = 0; i < sizeof(sure) / sizeof(sure[0]); i++) {
        if (sure[i](x))
            return true;
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i](x) && detect_context(t, at, 40, person_names))
            return true;
    }
    return false;
}

size_t detect_national_id(struct span t, size_t at)
{
    char before = detect_before(t, at);
    size_t n, groups = 5;
    struct id x;

    if (before == '-' || before == '.' || before == '+' || before == '/')
        return 0;
    n = read_id(t, at, ".-", &groups, &x);
    if (n > 0 && detect_at(t, at + n) != '-' && is_id(t, at, &x))
        return n;
    /* In groups, of which the next word may be none. */
    for (groups = 7; groups > 1; groups--) {
        n = read_id(t, at, " .-", &groups, &x);
        if (n > 0 && detect_at(t, at + n) != '-' && is_id(t, at, &x))
            return n;
    }
    return 0;
}
