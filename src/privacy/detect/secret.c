#include "privacy/detect/detect.h"

#include <string.h>

/* Of one word; a longer one is data. */
#define KEY_BYTES_MAX 512

static bool is_key_char(char c)
{
    return detect_alnum(c) || c == '_' || c == '-';
}

/* Beginnings that issuers give their keys so that they can be found (their documentation;
 * GitHub's and GitLab's lists of secret scanning patterns). `least`: bytes behind it. */
static const struct {
    const char *text;
    unsigned char least;
} beginnings[] = {
    {"sk-", 20},
    {"sk_live_", 16},
    {"sk_test_", 16},
    {"rk_live_", 16},
    {"rk_test_", 16},
    {"AKIA", 16},
    {"ASIA", 16},
    {"ghp_", 30},
    {"gho_", 30},
    {"ghu_", 30},
    {"ghs_", 30},
    {"ghr_", 30},
    {"github_pat_", 30},
    {"glpat-", 20},
    {"gldt-", 20},
    {"xoxb-", 20},
    {"xoxp-", 20},
    {"xoxa-", 20},
    {"xoxr-", 20},
    {"xoxs-", 20},
    {"xapp-", 20},
    {"AIza", 30},
    {"ya29.", 20},
    {"SG.", 40},
    {"hf_", 30},
    {"npm_", 30},
    {"pypi-", 40},
    {"dop_v1_", 40},
    {"shpat_", 30},
    {"sq0atp-", 20},
    {"sq0csp-", 20},
    {"glsa_", 30},
    {"dckr_pat_", 20},
    {"gsk_", 30},
    {"pplx-", 30},
    {"r8_", 30},
    {"lin_api_", 30},
    {"tvly-", 20},
    {"nvapi-", 40},
    {"whsec_", 24},
    {"AGE-SECRET-KEY-1", 50},
    {"PMAK-", 40},
    {"rubygems_", 40},
};

static size_t by_beginning(struct span t, size_t at)
{
    for (size_t k = 0; k < sizeof(beginnings) / sizeof(beginnings[0]); k++) {
        size_t n, i, digits = 0, capitals = 0;

        if (t.ptr[at] != beginnings[k].text[0])
            continue;
        n = strlen(beginnings[k].text);
        i = at + n;
        if (t.len - at <= n || memcmp(t.ptr + at, beginnings[k].text, n) != 0)
            continue;
        /* Some have parts, with dots between. */
        while (
            i < t.len && i - at < KEY_BYTES_MAX &&
            (is_key_char(t.ptr[i]) || (t.ptr[i] == '.' && is_key_char(detect_at(t, i + 1))))) {
            digits += detect_digit(t.ptr[i]);
            capitals += detect_upper(t.ptr[i]);
            i++;
        }
        /* "sk-learn-compatible-estimators-list" is none. */
        if (i - at - n >= beginnings[k].least && digits + capitals >= 3)
            return i - at;
    }
    return 0;
}

/* --- words that nobody would write ----------------------------------------------------------
 */

/* Pairs of letters of which English words and identifiers are made: the more frequent of
 * running text (Norvig, English Letter Frequency Counts, 2012), two thirds of a random
 * word's are none of them. Bit b of row a: the pair ab. */
static bool usual_pair(char a, char b)
{
    static const uint32_t rows[26] = {
        0x12ebd4e, 0x1124911, 0x00a4c91, 0x0104111, 0x1aeb92d, 0x01a4131, 0x0024191,
        0x0004111, 0x02ef85c, 0x0000000, 0x0042110, 0x11c4939, 0x010d113, 0x01c655d,
        0x07efd6d, 0x012c911, 0x0100000, 0x11e7d5d, 0x05cdd95, 0x15e4991, 0x00eb95e,
        0x0000111, 0x0004181, 0x0008000, 0x004c010, 0x0000000,
    };

    return (rows[(unsigned)((a | 0x20) - 'a')] >> (unsigned)((b | 0x20) - 'a') & 1) != 0;
}

struct word {
    size_t len, letters, digits, capitals, pairs, usual, distinct, changes;
    bool hex;
};

/* From `at` on: letters, digits, '-', '_' and, within base64, "+/=". */
static struct word word_at(struct span t, size_t at)
{
    struct word w = {.hex = true};
    uint64_t seen[2] = {0, 0};
    size_t i = at;

    for (; i < t.len && i - at <= KEY_BYTES_MAX; i++) {
        char c = t.ptr[i], last = i > at ? t.ptr[i - 1] : ' ';

        if (!is_key_char(c) && c != '+' && c != '/' && c != '=')
            break;
        if (c == '=' && is_key_char(detect_at(t, i + 1)))
            break; /* a name before a value */
        seen[(unsigned char)c >> 6 & 1] |= UINT64_C(1) << (c & 63);
        w.digits += detect_digit(c);
        w.letters += detect_letter(c);
        w.capitals += detect_upper(c);
        w.hex &= detect_hex(c);
        if (detect_letter(c) && detect_letter(last)) {
            w.pairs++;
            w.usual += usual_pair(last, c);
        }
        w.changes +=
            detect_alnum(c) && detect_alnum(last) && detect_digit(c) != detect_digit(last);
    }
    w.len = i - at;
    w.distinct = (size_t)(__builtin_popcountll(seen[0]) + __builtin_popcountll(seen[1]));
    return w;
}

static const char *const secret_names[] = {
    "password",    "passwd",     "passphrase",  "passwort",    "kennwort",       "pwd",
    "secret",      "token",      "api key",     "apikey",      "api_key",        "api-key",
    "access key",  "access_key", "accesskey",   "auth",        "bearer",         "credential",
    "private_key", "privatekey", "signing key", "license key", "encryption key", "key is",
    "key:",        "key=",       NULL};

/* What a digest or a commit is introduced by: not a secret. */
static const char *const digest_names[] = {"sha",      "md5",     "commit", "digest", "hash",
                                           "checksum", "etag",    "rev ",   "blob",   "tree",
                                           "git",      "base64,", "build ", NULL};

static bool is_uuid(struct span t, size_t at)
{
    for (size_t i = 0; i < 36; i++) {
        char c = detect_at(t, at + i);

        if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !detect_hex(c))
            return false;
    }
    return true;
}

/* Random letters and digits: pairs of letters that no language has, many different ones. A
 * number in hexadecimal is one of a digest or a commit unless something says secret. */
static size_t by_entropy(struct span t, size_t at)
{
    struct word w;
    bool told;

    if (strchr("/.+", detect_before(t, at)) != NULL || is_uuid(t, at))
        return 0;
    w = word_at(t, at);
    if (w.len < 20 || w.len > KEY_BYTES_MAX || w.digits == 0 || w.letters < 4 ||
        w.distinct < 10)
        return 0;
    if (detect_context(t, at, 24, digest_names))
        return 0;
    told = detect_context(t, at, 32, secret_names);
    if (w.hex)
        return told && w.len >= 24 ? w.len : 0;
    if (w.pairs < 4)
        return told || (w.len >= 24 && w.capitals > 0 && w.capitals < w.letters) ? w.len : 0;
    if (w.usual * 100 > w.pairs * (told ? 68u : 62u))
        return 0;
    /* Without a word for it: mixed case, or long, and digits among the letters. */
    if (!told &&
        (w.changes < 3 || ((w.capitals == 0 || w.capitals == w.letters) && w.len < 32)))
        return 0;
    return w.len;
}

size_t detect_key(struct span t, size_t at)
{
    size_t n;

    if (detect_wordy(detect_before(t, at)))
        return 0;
    n = by_beginning(t, at);
    return n != 0 ? n : by_entropy(t, at);
}

/* --- blocks and tokens ----------------------------------------------------------------------
 */

size_t detect_private_key(struct span t, size_t at)
{
    static const char begin[] = "-----BEGIN ", tail[] = "PRIVATE KEY", end[] = "-----END ";
    size_t i = at + sizeof(begin) - 1, name = i;

    if (t.len - at < sizeof(begin) - 1 + sizeof(tail) - 1 ||
        memcmp(t.ptr + at, begin, sizeof(begin) - 1) != 0)
        return 0;
    /* RFC 7468 2: a label of capitals; "PGP PRIVATE KEY BLOCK" (RFC 9580 6.2) */
    while (i < t.len && i - name < 48 && t.ptr[i] != '-' && t.ptr[i] >= ' ')
        i++;
    for (;; name++) {
        if (name + sizeof(tail) - 1 > i)
            return 0;
        if (memcmp(t.ptr + name, tail, sizeof(tail) - 1) == 0)
            break;
    }
    for (; i + sizeof(end) - 1 <= t.len; i++) {
        const char *p = memchr(t.ptr + i, '-', t.len - i - (sizeof(end) - 2));

        if (p == NULL)
            break;
        i = (size_t)(p - t.ptr);
        if (memcmp(p, end, sizeof(end) - 1) != 0)
            continue;
        i += sizeof(end) - 1;
        while (i < t.len && t.ptr[i] != '-' && t.ptr[i] >= ' ')
            i++;
        while (i < t.len && t.ptr[i] == '-')
            i++;
        return i - at;
    }
    return t.len - at; /* cut off: what is there is secret enough */
}

/* RFC 7519: three parts of base64url; the first is an object, so that it begins with eyJ. */
size_t detect_jwt(struct span t, size_t at)
{
    size_t i = at, part = at, parts = 1;

    if (t.len - at < 20 || memcmp(t.ptr + at, "eyJ", 3) != 0 ||
        detect_wordy(detect_before(t, at)))
        return 0;
    for (; i < t.len; i++) {
        if (is_key_char(t.ptr[i]))
            continue;
        if (t.ptr[i] != '.' || i - part < 4 || !is_key_char(detect_at(t, i + 1)) || parts == 5)
            break;
        parts++;
        part = i + 1;
    }
    return (parts == 3 || parts == 5) && i - at >= 30 ? i - at : 0;
}

/* --- NAME = value ---------------------------------------------------------------------------
 */

static bool names_secret(struct span t, size_t at)
{
    static const char *const names[] = {"password",
                                        "passwd",
                                        "passphrase",
                                        "passwort",
                                        "kennwort",
                                        "pwd",
                                        "secret",
                                        "secret_key",
                                        "token",
                                        "api_key",
                                        "apikey",
                                        "api-key",
                                        "api key",
                                        "access_key",
                                        "access key",
                                        "private_key",
                                        "secret_access_key",
                                        "auth_token",
                                        "pass",
                                        NULL};
    size_t end = at;

    while (end > 0 &&
           (t.ptr[end - 1] == ' ' || t.ptr[end - 1] == '"' || t.ptr[end - 1] == '\'' ||
            t.ptr[end - 1] == '`' || t.ptr[end - 1] == '*'))
        end--;
    /* The word that ends there ends in one of these, or " is" follows it. */
    for (size_t i = 0; names[i] != NULL; i++) {
        size_t n = strlen(names[i]);
        const char *const one[] = {names[i], NULL};

        if (end >= n && detect_context((struct span){t.ptr, end}, end, n, one))
            return true;
    }
    return false;
}

size_t detect_assigned(struct span t, size_t at, size_t *start)
{
    size_t i = at + 1, letters = 0, digits = 0, others = 0, from;

    if (detect_at(t, i) == '=' || detect_at(t, i) == '/' || !names_secret(t, at))
        return 0;
    while (detect_at(t, i) == ' ' && i - at < 4 && i < t.len)
        i++;
    if (i < t.len && (t.ptr[i] == '"' || t.ptr[i] == '\'' || t.ptr[i] == '`'))
        i++;
    from = i;
    for (; i < t.len && i - from < KEY_BYTES_MAX; i++) {
        char c = t.ptr[i];

        if ((unsigned char)c <= ' ' || strchr("\"'`,;)]}\\|", c) != NULL)
            break;
        /* A call, a place in a list, a variable, a mark for one: code, not a value. */
        if (strchr("([{<", c) != NULL || (c == '$' && detect_at(t, i + 1) == '{'))
            return 0;
        letters += detect_letter(c);
        digits += detect_digit(c);
        others += !detect_alnum(c);
    }
    while (i > from && (t.ptr[i - 1] == '.' || t.ptr[i - 1] == '?' || t.ptr[i - 1] == ':'))
        i--;
    if (i - from < 8 || digits == 0 || letters + others < 2)
        return 0;
    *start = from;
    return i - from;
}
