#include "privacy/detect/detect.h"

#include <string.h>

bool detect_context(struct span t, size_t at, size_t within, const char *const *words)
{
    size_t from = at > within ? at - within : 0;

    for (; *words != NULL; words++) {
        size_t n = strlen(*words);

        for (size_t i = from; i + n <= at; i++) {
            size_t k = 0;

            while (k < n && (char)(detect_upper(t.ptr[i + k]) ? t.ptr[i + k] | 0x20
                                                              : t.ptr[i + k]) == (*words)[k])
                k++;
            if (k == n)
                return true;
        }
    }
    return false;
}

/* RFC 5322 3.2.3's atext, but for what ends a word of prose. */
static bool is_local(char c)
{
    return detect_wordy(c) || (c != '\0' && strchr(".+-%!#$&'*/=?^{}~", c) != NULL);
}

/* "logo@2x.png" */
static bool is_file(struct span top)
{
    static const char *const kinds[] = {"png",  "jpg", "jpeg", "gif", "svg",
                                        "webp", "js",  "css",  "html"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (span_eq(top, span_of(kinds[i])))
            return true;
    }
    return false;
}

/* Labels and a top-level domain of letters; RFC 1034 3.5, and U-labels as they are. */
static size_t domain(struct span t, size_t at)
{
    size_t i = at, label = at, labels = 1;

    for (; i < t.len && i - at < 254; i++) {
        char c = t.ptr[i];

        if (c == '.') {
            if (i == label || !detect_wordy(detect_at(t, i + 1)) || detect_at(t, i + 1) == '_')
                break;
            labels++;
            label = i + 1;
        } else if (!(detect_wordy(c) && c != '_') && c != '-') {
            break;
        }
    }
    while (i > at && (t.ptr[i - 1] == '-' || t.ptr[i - 1] == '.'))
        i--;
    if (labels < 2 || i < label + 2 || i - at > 253 || detect_at(t, i) == '_')
        return 0;
    for (size_t k = label; k < i; k++) {
        if (detect_digit(t.ptr[k]) && !(i - label > 4 && memcmp(t.ptr + label, "xn--", 4) == 0))
            return 0;
    }
    return is_file((struct span){t.ptr + label, i - label}) ? 0 : i - at;
}

size_t detect_email(struct span t, size_t at)
{
    size_t i = at, n;

    if (!detect_wordy(detect_at(t, at)))
        return 0;
    while (i < t.len && i - at <= 64 && is_local(t.ptr[i]))
        i++;
    if (i == at || i - at > 64 || detect_at(t, i) != '@' || t.ptr[i - 1] == '.')
        return 0;
    n = domain(t, i + 1);
    if (n == 0)
        return 0;
    /* git@host:path is an address of a machine's. */
    if (i - at == 3 && memcmp(t.ptr + at, "git", 3) == 0 && detect_at(t, i + 1 + n) == ':')
        return 0;
    return i + 1 + n - at;
}

size_t detect_url_password(struct span t, size_t at, size_t *start)
{
    size_t i = at, colon = 0;

    /* RFC 3986 3.2.1; at is where the scheme begins. */
    while (detect_alnum(detect_at(t, i)) || detect_at(t, i) == '+')
        i++;
    if (i == at || t.len - i < 4 || memcmp(t.ptr + i, "://", 3) != 0)
        return 0;
    for (i += 3; i < t.len && i - at < 512; i++) {
        char c = t.ptr[i];

        if (c == ':' && colon == 0)
            colon = i;
        else if (c == '@')
            break;
        else if (c == '/' || c == '?' || c == '#' || (unsigned char)c <= ' ' || c == '"')
            return 0;
    }
    if (colon == 0 || detect_at(t, i) != '@' || i - colon < 2)
        return 0;
    *start = colon + 1;
    return i - colon - 1;
}

/* --- names ------------------------------------------------------------------------------- */

static size_t capital(struct span t, size_t at)
{
    size_t i = at;

    if (!detect_upper(detect_at(t, i)) && !((unsigned char)detect_at(t, i) == 0xc3))
        return 0;
    while (i < t.len &&
           (detect_letter(t.ptr[i]) || (unsigned char)t.ptr[i] >= 0x80 ||
            ((t.ptr[i] == '-' || t.ptr[i] == '\'') && detect_letter(detect_at(t, i + 1)))))
        i++;
    return i - at < 2 ? 0 : i - at;
}

size_t detect_name(struct span t, size_t at, size_t *start)
{
    static const char *const before[] = {
        "Mr. ",           "Mrs. ",      "Ms. ",        "Mr ",
        "Mrs ",           "Ms ",        "Dr. ",        "Prof. ",
        "Herr ",          "Frau ",      "my name is ", "My name is ",
        "I am called ",   "ich heiße ", "Ich heiße ",  "mein Name ist ",
        "Mein Name ist ", "Signed, ",   "Patient: ",   "patient ",
        "Name: ",         "name: ",     "customer ",   "Customer: "};
    size_t n, i = 0, end, words = 1;

    for (;; i++) {
        if (i == sizeof(before) / sizeof(before[0]))
            return 0;
        n = strlen(before[i]);
        if (t.len - at > n && memcmp(t.ptr + at, before[i], n) == 0)
            break;
    }
    *start = at + n;
    end = *start + capital(t, *start);
    if (end == *start)
        return 0;
    while (words < 4 && detect_at(t, end) == ' ' && (n = capital(t, end + 1)) > 0) {
        end += 1 + n;
        words++;
    }
    return end - *start;
}
