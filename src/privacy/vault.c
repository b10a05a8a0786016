#define _GNU_SOURCE /* memmem */
#include "privacy/vault.h"

#include <string.h>

#include "base/hash.h"

/* No vowels: no words. And none that a class's word begins with: the end of a placeholder is
 * never the beginning of another (vault_open_end()). */
static const char letters[] = "BFGJKLMNQRWXZ";

/* Half of all marks: a text that has so many of them is made of nothing else. */
#define ATTEMPTS_MAX 14000

static void set_mark(struct vault *v, uint32_t attempt)
{
    char bytes[DIGEST_BYTES + sizeof(attempt)];
    struct digest d;

    memcpy(bytes, v->seed.bytes, DIGEST_BYTES);
    memcpy(bytes + DIGEST_BYTES, &attempt, sizeof(attempt));
    digest_sha256((struct span){bytes, sizeof(bytes)}, &d);
    v->mark[0] = '_';
    for (size_t i = 0; i < VAULT_MARK; i++)
        v->mark[i + 1] = letters[d.bytes[i] % (sizeof(letters) - 1)];
    v->mark[VAULT_MARK + 1] = '\0';
}

enum status vault_init(struct vault *v, struct arena *arena, const struct digest *seed,
                       struct span all)
{
    *v = (struct vault){.arena = arena, .seed = *seed};
    v->values =
        arena_alloc(arena, VAULT_VALUES_MAX * sizeof(*v->values), _Alignof(struct vault_value));
    v->slots = arena_alloc(arena, VAULT_SLOTS * sizeof(*v->slots), _Alignof(uint16_t));
    if (v->values == NULL || v->slots == NULL)
        return ST_NOMEM;
    memset(v->slots, 0, VAULT_SLOTS * sizeof(*v->slots));
    for (uint32_t i = 0; i < ATTEMPTS_MAX; i++) {
        set_mark(v, i);
        if (all.len == 0 || memmem(all.ptr, all.len, v->mark, VAULT_MARK + 1) == NULL)
            return ST_OK;
    }
    return ST_LIMIT;
}

static enum status new_value(struct vault *v, enum privacy_class c, struct span text)
{
    struct vault_value *x = &v->values[v->count];
    enum status st;

    if (v->count == VAULT_VALUES_MAX)
        return ST_LIMIT;
    if (v->order[c] == NULL)
        v->order[c] =
            arena_alloc(v->arena, VAULT_VALUES_MAX * sizeof(uint16_t), _Alignof(uint16_t));
    if (v->order[c] == NULL)
        return ST_NOMEM;
    *x = (struct vault_value){.class = c, .number = v->counts[c] + 1};
    st = arena_copy(v->arena, text, &x->text);
    if (st != ST_OK)
        return st;
    v->order[c][v->counts[c]++] = (uint16_t)v->count++;
    return ST_OK;
}

static enum status value_of(struct vault *v, enum privacy_class c, struct span text,
                            const struct vault_value **out)
{
    uint64_t seed;
    enum status st;
    size_t at;

    /* Nobody can choose texts that fall together. */
    memcpy(&seed, v->seed.bytes, sizeof(seed));
    at = (size_t)(hash_bytes(text, seed ^ c) % VAULT_SLOTS);
    for (; v->slots[at] != 0; at = (at + 1) % VAULT_SLOTS) {
        *out = &v->values[v->slots[at] - 1];
        if ((*out)->class == c && span_eq((*out)->text, text))
            return ST_OK;
    }
    st = new_value(v, c, text);
    if (st != ST_OK)
        return st;
    v->slots[at] = (uint16_t)v->count;
    *out = &v->values[v->count - 1];
    return ST_OK;
}

enum status vault_put(struct vault *v, enum privacy_class c, struct span value, struct buf *out)
{
    const struct vault_value *x = NULL;
    enum status st = value_of(v, c, value, &x);

    if (st == ST_OK)
        st = buf_printf(out, "%s_%u%s", privacy_class_word(c), (unsigned)x->number, v->mark);
    return st;
}

/* --- the way back ---------------------------------------------------------------------------
 */

/* The placeholder that ends with the mark at `mark`, read backwards. */
static const struct vault_value *ends_at(const struct vault *v, struct span text, size_t mark,
                                         size_t *at)
{
    size_t i = mark;
    uint32_t number = 0, unit = 1;

    while (i > 0 && mark - i < 4 && text.ptr[i - 1] >= '0' && text.ptr[i - 1] <= '9') {
        number += (uint32_t)(text.ptr[i - 1] - '0') * unit;
        unit *= 10;
        i--;
    }
    if (i == mark || text.ptr[i] == '0' || i == 0 || text.ptr[i - 1] != '_')
        return NULL;
    i--;
    for (unsigned c = 0; c < PRIVACY_CLASSES; c++) {
        const char *word = privacy_class_word((enum privacy_class)c);
        size_t n = strlen(word);

        if (number > v->counts[c] || i < n || memcmp(text.ptr + i - n, word, n) != 0)
            continue;
        *at = i - n;
        return &v->values[v->order[c][number - 1]];
    }
    return NULL;
}

bool vault_find(const struct vault *v, struct span text, size_t *at, size_t *len,
                struct span *value)
{
    size_t from = 0;

    while (text.len - from > VAULT_MARK) {
        const char *p = memmem(text.ptr + from, text.len - from, v->mark, VAULT_MARK + 1);
        const struct vault_value *x;
        size_t mark;

        if (p == NULL)
            return false;
        mark = (size_t)(p - text.ptr);
        x = ends_at(v, text, mark, at);
        if (x != NULL) {
            *len = mark + VAULT_MARK + 1 - *at;
            *value = x->text;
            return true;
        }
        from = mark + 1;
    }
    return false;
}

/* Is `s` what a placeholder of class c begins with? */
static bool begins(const struct vault *v, unsigned c, struct span s)
{
    const char *word = privacy_class_word((enum privacy_class)c);
    size_t n = strlen(word), i;

    if (s.len <= n)
        return memcmp(s.ptr, word, s.len) == 0;
    if (memcmp(s.ptr, word, n) != 0 || s.ptr[n] != '_')
        return false;
    for (i = n + 1; i < s.len && i - n <= 4 && s.ptr[i] >= '0' && s.ptr[i] <= '9';)
        i++;
    if (i == s.len)
        return true;
    return i > n + 1 && s.len - i <= VAULT_MARK + 1 &&
           memcmp(s.ptr + i, v->mark, s.len - i) == 0;
}

size_t vault_open_end(const struct vault *v, struct span text)
{
    size_t most = text.len < VAULT_PLACEHOLDER_MAX - 1 ? text.len : VAULT_PLACEHOLDER_MAX - 1;

    for (size_t n = most; n > 0; n--) {
        struct span s = {text.ptr + text.len - n, n};

        if (s.ptr[0] < 'A' || s.ptr[0] > 'Z')
            continue;
        for (unsigned c = 0; c < PRIVACY_CLASSES; c++) {
            /* One that is whole is no beginning. */
            if (v->counts[c] > 0 && begins(v, c, s) &&
                !(s.len > VAULT_MARK + 1 &&
                  memcmp(s.ptr + s.len - VAULT_MARK - 1, v->mark, VAULT_MARK + 1) == 0))
                return n;
        }
    }
    return 0;
}
