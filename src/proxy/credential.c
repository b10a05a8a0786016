#include "proxy/credential.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/config.h"
#include "http/head.h"

#define ACCEPT_FILE_MAX (1024 * 1024)
#define PROBES_MAX      8

/* Every header by which the APIs we relay take a key. All of them together are
 * the credential: a request with two must not pass for a request with one. */
static const struct span auth_headers[] = {
    {"authorization", 13}, {"api-key", 7}, {"x-api-key", 9}, {"x-goog-api-key", 14}};

static bool is_auth(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(auth_headers); i++) {
        if (http_name_eq(name, auth_headers[i]))
            return true;
    }
    return false;
}

/* Length-framed, so that no two lists of parts read the same. `b` has room for them. */
static void put_part(struct buf *b, struct span s)
{
    uint64_t n = s.len;

    (void)!buf_append(b, (struct span){(const char *)&n, sizeof(n)});
    (void)!buf_append(b, s);
}

static size_t part_bytes(struct span s)
{
    return sizeof(uint64_t) + s.len;
}

static void put_lower(struct buf *b, struct span s)
{
    char name[32] = {0};

    for (size_t i = 0; i < s.len && i < sizeof(name); i++)
        name[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    put_part(b, (struct span){name, s.len < sizeof(name) ? s.len : sizeof(name)});
}

#define KIND_CREDENTIAL SPAN("credential")

static size_t auth_bytes(const struct http_head *h)
{
    size_t n = part_bytes(KIND_CREDENTIAL);

    for (size_t i = 0; i < h->field_count; i++) {
        if (is_auth(h->fields[i].name))
            n += part_bytes(h->fields[i].name) + part_bytes(h->fields[i].value);
    }
    return n;
}

static void put_auth(struct buf *b, const struct http_head *h)
{
    put_part(b, KIND_CREDENTIAL);
    for (size_t i = 0; i < h->field_count; i++) {
        if (!is_auth(h->fields[i].name))
            continue;
        put_lower(b, h->fields[i].name);
        put_part(b, h->fields[i].value);
    }
}

/* Without memory for `n` bytes the digest becomes one that is nobody's, so that a shortage
 * can not make two callers one. */
static bool make_room(struct credentials *c, struct buf *b, size_t n, struct digest *out)
{
    buf_init(b, n);
    if (buf_reserve(b, n) == ST_OK)
        return true;
    memset(out->bytes, 0, sizeof(out->bytes));
    c->nobody++;
    memcpy(out->bytes, &c->nobody, sizeof(c->nobody));
    return false;
}

static void hash_long(struct credentials *c, const struct http_head *h, size_t n,
                      struct digest *out)
{
    struct buf b;

    if (!make_room(c, &b, n, out))
        return;
    put_auth(&b, h);
    digest_hmac(&c->key, buf_span(&b), out);
    buf_release(&b);
}

void credential_of(struct credentials *c, const struct http_head *h, struct digest *out)
{
    char bytes[CREDENTIAL_MEMO_BYTES];
    struct buf b = {bytes, 0, sizeof(bytes), sizeof(bytes)};
    size_t n = auth_bytes(h);
    struct credential_memo *m;

    if (n > sizeof(bytes)) {
        hash_long(c, h, n, out);
        return;
    }
    put_auth(&b, h);
    m = &c->memos[hash_bytes(buf_span(&b), c->memo_seed) % CREDENTIAL_MEMOS];
    if (m->len != b.len || memcmp(m->bytes, bytes, b.len) != 0) {
        digest_hmac(&c->key, buf_span(&b), &m->id);
        memcpy(m->bytes, bytes, b.len);
        m->len = b.len;
    }
    *out = m->id;
}

/* HMAC of `kind` and two more parts. */
static void hash_parts(struct credentials *c, struct span kind, struct span x, struct span y,
                       struct digest *out)
{
    const struct span parts[] = {SPAN("scope"), kind, x, y};
    struct buf b;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        n += part_bytes(parts[i]);
    if (!make_room(c, &b, n, out))
        return;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        put_part(&b, parts[i]);
    digest_hmac(&c->key, buf_span(&b), out);
    buf_release(&b);
}

void credential_scope(struct credentials *c, const struct config *config,
                      const struct http_head *h, const struct digest *credential,
                      struct span user, struct digest *out)
{
    struct span own = {(const char *)credential->bytes, DIGEST_BYTES}, none = {"", 0};

    switch (config->cache.scope) {
    case SCOPE_CREDENTIAL:
        *out = *credential;
        return;
    case SCOPE_USER:
        hash_parts(c, SPAN("user"), own, user, out);
        return;
    case SCOPE_HEADER:
        hash_parts(c, SPAN("header"), own,
                   http_head_get(h, span_of(config->cache.scope_header)), out);
        return;
    case SCOPE_SHARED:
        hash_parts(c, SPAN("shared"), span_of(config->cache.scope_name), none, out);
        return;
    }
}

static size_t home_slot(const struct digest *id)
{
    uint32_t n;

    memcpy(&n, id->bytes, sizeof(n)); /* an HMAC: any of its bytes are spread evenly */
    return n % CREDENTIALS_MAX;
}

static struct credential_slot *find_slot(const struct credentials *c, const struct digest *id)
{
    size_t at = home_slot(id);

    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct credential_slot *s = &c->slots[(at + i) % CREDENTIALS_MAX];

        if (s->accepted_us != 0 && digest_eq(&s->id, id))
            return s;
    }
    return NULL;
}

bool credential_accepted(const struct credentials *c, const struct digest *id, uint64_t now_us)
{
    const struct credential_slot *s = find_slot(c, id);

    if (s != NULL && now_us - s->accepted_us <= c->ttl_us)
        return true;
    for (size_t i = 0; i < c->listed_count; i++) {
        if (digest_eq(&c->listed[i], id))
            return true;
    }
    return false;
}

void credential_accept(struct credentials *c, const struct digest *id, uint64_t now_us)
{
    struct credential_slot *s = find_slot(c, id);
    size_t at = home_slot(id);

    if (s == NULL) {
        s = &c->slots[at];
        for (size_t i = 1; i < PROBES_MAX; i++) {
            struct credential_slot *other = &c->slots[(at + i) % CREDENTIALS_MAX];

            if (other->accepted_us < s->accepted_us)
                s = other;
        }
    }
    s->id = *id;
    s->accepted_us = now_us > 0 ? now_us : 1;
}

void credential_revoke(struct credentials *c, const struct digest *id)
{
    struct credential_slot *s = find_slot(c, id);

    if (s != NULL)
        s->accepted_us = 0;
}

/* The HMAC a request with "Authorization: Bearer KEY" would have. */
static enum status listed_id(struct credentials *c, struct span key, struct digest *out)
{
    struct http_field field = {SPAN("authorization"), {NULL, 0}};
    struct http_head head = {.fields = &field, .field_count = 1};
    struct buf value;
    enum status st;

    buf_init(&value, ACCEPT_FILE_MAX);
    st = buf_append(&value, SPAN("Bearer "));
    if (st == ST_OK)
        st = buf_append(&value, key);
    if (st == ST_OK) {
        field.value = buf_span(&value);
        credential_of(c, &head, out);
    }
    buf_release(&value);
    return st;
}

static enum status list_keys(struct credentials *c, struct span text)
{
    while (text.len > 0) {
        const char *nl = memchr(text.ptr, '\n', text.len);
        size_t n = nl != NULL ? (size_t)(nl - text.ptr) : text.len;
        struct span line = {text.ptr, n};
        struct digest *grown;
        enum status st;

        text.ptr += nl != NULL ? n + 1 : n;
        text.len -= nl != NULL ? n + 1 : n;
        while (line.len > 0 &&
               (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == ' '))
            line.len--;
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        grown = realloc(c->listed, (c->listed_count + 1) * sizeof(*grown));
        if (grown == NULL)
            return ST_NOMEM;
        c->listed = grown;
        st = listed_id(c, line, &grown[c->listed_count]);
        if (st != ST_OK)
            return st;
        c->listed_count++;
    }
    return ST_OK;
}

static enum status read_listed(struct credentials *c, const char *path)
{
    enum status st = ST_OK;
    struct buf b;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        log_at(LOG_ERROR, NULL, kv_event("accept_file_unreadable"), kv_str("path", path));
        return ST_NOTFOUND;
    }
    buf_init(&b, ACCEPT_FILE_MAX);
    while (st == ST_OK && n > 0) {
        st = buf_reserve(&b, 4096);
        if (st != ST_OK)
            break;
        n = read(fd, b.ptr + b.len, 4096);
        if (n > 0)
            b.len += (size_t)n;
    }
    close(fd);
    if (st == ST_OK)
        st = n == 0 ? list_keys(c, buf_span(&b)) : ST_UNAVAILABLE;
    buf_release(&b);
    return st;
}

enum status credential_open(struct credentials *c, const struct config *config,
                            struct span secret)
{
    enum status st;

    *c = (struct credentials){.ttl_us = config->upstream.auth_ttl_s * 1000000};
    st = digest_key_init(&c->key, secret);
    if (st != ST_OK)
        return st;
    st = digest_random((uint8_t *)&c->memo_seed, sizeof(c->memo_seed));
    c->slots = calloc(CREDENTIALS_MAX, sizeof(*c->slots));
    c->memos = calloc(CREDENTIAL_MEMOS, sizeof(*c->memos));
    if (c->slots == NULL || c->memos == NULL)
        st = ST_NOMEM;
    if (st == ST_OK && config->upstream.accept_file[0] != '\0')
        st = read_listed(c, config->upstream.accept_file);
    if (st != ST_OK)
        credential_close(c);
    return st;
}

void credential_close(struct credentials *c)
{
    digest_key_release(&c->key);
    free(c->slots);
    if (c->memos != NULL)
        digest_wipe(c->memos, CREDENTIAL_MEMOS * sizeof(*c->memos));
    free(c->memos);
    free(c->listed);
    *c = (struct credentials){0};
}
