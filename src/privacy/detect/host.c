#include "privacy/detect/detect.h"

#include <string.h>

/* "v", "version 1.2.3.4": a number of a release, not an address. */
static bool names_version(struct span t, size_t at)
{
    static const char *const words[] = {"version",    "release",  "build", "ver.",
                                        "upgrade to", "firmware", NULL};
    char c = detect_before(t, at);

    return c == 'v' || c == 'V' || c == '=' || c == '~' || c == '^' ||
           detect_context(t, at, 18, words);
}

/* Four numbers up to 255. Those that every machine has say nothing of anybody: loopback, "any",
 * and masks. */
static size_t ipv4(struct span t, size_t at)
{
    unsigned part[4] = {0};
    size_t i = at;

    for (unsigned k = 0; k < 4; k++) {
        size_t start = i;

        if (k > 0 && detect_at(t, i++) != '.')
            return 0;
        start = i;
        while (i - start < 3 && detect_digit(detect_at(t, i)))
            part[k] = part[k] * 10 + (unsigned)(t.ptr[i++] - '0');
        if (i == start || part[k] > 255 || (i - start > 1 && t.ptr[start] == '0'))
            return 0;
    }
    if (detect_wordy(detect_at(t, i)) ||
        (detect_at(t, i) == '.' && detect_alnum(detect_at(t, i + 1))) ||
        detect_before(t, at) == '.' || detect_before(t, at) == '-')
        return 0;
    if (part[0] == 127 || part[0] == 0 || (part[0] == 255 && part[1] == 255) ||
        names_version(t, at))
        return 0;
    return i - at;
}

/* RFC 4291 2.2. What could be a name of a program (ab::cd) has no digit. */
static size_t ipv6(struct span t, size_t at)
{
    unsigned groups = 0, digits = 0;
    bool gap = false;
    size_t i = at;

    for (;;) {
        size_t start = i;

        while (i - start < 5 && detect_hex(detect_at(t, i)))
            digits += detect_digit(t.ptr[i++]);
        if (i - start > 4)
            return 0;
        groups += i > start;
        if (detect_at(t, i) != ':' || groups > 8)
            break;
        if (detect_at(t, i + 1) == ':') {
            if (gap)
                return 0;
            gap = true;
            i += 2;
            if (!detect_hex(detect_at(t, i)))
                break;
        } else if (detect_hex(detect_at(t, i + 1))) {
            i++;
        } else {
            break; /* "fe80::1: is down" */
        }
    }
    if (detect_wordy(detect_at(t, i)) || digits == 0 || groups > 8 ||
        (gap ? groups < 2 || groups > 7 : groups != 8))
        return 0;
    if (detect_before(t, at) == ':')
        return 0;
    return i - at;
}

/* aa:bb:cc:dd:ee:ff, with '-', or aabb.ccdd.eeff. More groups are a fingerprint. */
static size_t mac(struct span t, size_t at)
{
    size_t width = detect_at(t, at + 2) == ':' || detect_at(t, at + 2) == '-' ? 2 : 4;
    size_t groups = 12 / width, i = at;
    char separator = detect_at(t, at + width);

    if (width == 4 ? separator != '.' : separator != ':' && separator != '-')
        return 0;
    for (size_t k = 0; k < groups; k++) {
        if (k > 0 && detect_at(t, i++) != separator)
            return 0;
        for (size_t j = 0; j < width; j++) {
            if (!detect_hex(detect_at(t, i++)))
                return 0;
        }
    }
    if (detect_wordy(detect_at(t, i)) ||
        (detect_at(t, i) == separator && detect_alnum(detect_at(t, i + 1))) ||
        detect_before(t, at) == separator)
        return 0;
    return i - at;
}

/* Names below these are somebody's own network: RFC 6762 (local) and its appendix G, RFC 8375,
 * ICANN's internal. */
static const struct {
    const char *suffix;
    bool sure; /* also behind a single plain label */
} suffixes[] = {
    {".internal", true},     {".corp", true},        {".lan", true},    {".intranet", true},
    {".intra", true},        {".localdomain", true}, {".local", false}, {".home.arpa", true},
    {".domain.local", true}, {".cluster", false},
};

/* Packages of programs have such names, too. */
static bool is_package(struct span name)
{
    static const char *const heads[] = {"com.",   "org.", "net.", "io.",  "java.",
                                        "javax.", "sun.", "go.",  "jdk.", "self.",
                                        "this.",  "std.", "cls.", "dev."};

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        size_t n = strlen(heads[i]);

        if (name.len > n && memcmp(name.ptr, heads[i], n) == 0)
            return true;
    }
    return false;
}

static bool ends_in(struct span name, const char *suffix)
{
    size_t n = strlen(suffix);

    if (name.len <= n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name.ptr[name.len - n + i];

        if ((detect_upper(c) ? (char)(c | 0x20) : c) != suffix[i])
            return false;
    }
    return true;
}

static size_t name(struct span t, size_t at)
{
    struct span s = {t.ptr + at, 0};
    size_t labels = 1;
    bool marked = false; /* a digit or a hyphen */

    if (!detect_alnum(detect_at(t, at)) || detect_before(t, at) == '.' ||
        detect_before(t, at) == '-')
        return 0;
    while (s.len < 254) {
        char c = detect_at(t, at + s.len), next = detect_at(t, at + s.len + 1);

        if (detect_digit(c) || c == '-')
            marked = true;
        else if (c == '.' && detect_alnum(next))
            labels++;
        else if (!detect_letter(c))
            break;
        s.len++;
    }
    if (labels < 2 || s.len > 253 || detect_wordy(detect_at(t, at + s.len)) ||
        detect_at(t, at + s.len) == '(')
        return 0;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (ends_in(s, suffixes[i].suffix))
            return (suffixes[i].sure || marked || labels > 2) && !is_package(s) ? s.len : 0;
    }
    return 0;
}

size_t detect_host(struct span t, size_t at)
{
    char c = detect_at(t, at);
    size_t n = 0;

    if (detect_hex(c))
        n = mac(t, at);
    if (n == 0 && detect_digit(c))
        n = ipv4(t, at);
    if (n == 0 && detect_hex(c))
        n = ipv6(t, at);
    return n != 0 ? n : name(t, at);
}
