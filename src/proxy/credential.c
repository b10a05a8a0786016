#include "proxy/credential.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "config/config.h"
#include "http/head.h"

#define ACCEPT_FILE_MAX (1024 * 1024)
#define PROBES_MAX      8

/* Every header by which the APIs and gateways we relay to take a key. All of them
 * together are the credential: a request with two must not pass for a request with
 * one. One too many can only cost a hit. */
#define AUTH_NAMES(X)                                                                          \
    X("authorization")                                                                         \
    X("api-key")                                                                               \
    X("x-api-key")                                                                             \
    X("x-goog-api-key")                                                                        \
    X("cookie")                                                                                \
    X("x-auth-token")                                                                          \
    X("x-access-token")                                                                        \
    X("ocp-apim-subscription-key")                                                             \
    X("cf-aig-authorization")                                                                  \
    X("helicone-auth")                                                                         \
    X("x-portkey-api-key")                                                                     \
    X("x-portkey-virtual-key")                                                                 \
    X("x-litellm-api-key")                                                                     \
    X("x-bf-vk")

bool credential_is_one(struct span name)
{
    static const struct span names[] = {AUTH_NAMES(HTTP_NAME_SPAN)};
    const uint64_t bits = 0 AUTH_NAMES(HTTP_NAME_BIT); /* of constants: one itself */

    for (size_t i = 0; (http_name_bit(name) & bits) != 0 && i < ARRAY_LEN(names); i++) {
        if (http_name_eq(name, names[i]))
            return true;
    }
    return false;
}

/* What is digested, part by part, each with its length before it: no two lists of
 * parts read the same. A part that has no room is a failure and never left out, or
 * two callers would be one. */
struct parts {
    struct buf *bytes; /* borrowed */
    enum status st;
};

static void put_part(struct parts *p, struct span s)
{
    uint64_t n = s.len;

    if (p->st == ST_OK)
        p->st = buf_append(p->bytes, (struct span){(const char *)&n, sizeof(n)});
    if (p->st == ST_OK)
        p->st = buf_append(p->bytes, s);
}

static struct parts parts_start(struct credentials *c, struct span kind)
{
    struct parts p = {.bytes = &c->bytes, .st = ST_OK};

    buf_clear(&c->bytes);
    put_part(&p, kind);
    return p;
}

static enum status parts_finish(struct parts *p, const struct credentials *c,
                                struct digest *out)
{
    if (p->st == ST_OK)
        digest_hmac(&c->key, buf_span(p->bytes), out);
    return p->st;
}

static void put_lower(struct parts *p, struct span s)
{
    char name[32] = {0};

    for (size_t i = 0; i < s.len && i < sizeof(name); i++)
        name[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    put_part(p, (struct span){name, s.len < sizeof(name) ? s.len : sizeof(name)});
}

/* Clients repeat themselves: what was hashed lately is looked up. */
static enum status hash_or_recall(struct parts *p, struct credentials *c, struct digest *out)
{
    struct span bytes = buf_span(p->bytes);
    struct credential_memo *m = &c->memos[hash_bytes(bytes, c->memo_seed) % CREDENTIAL_MEMOS];

    if (p->st != ST_OK || bytes.len > sizeof(m->bytes))
        return parts_finish(p, c, out);
    if (m->len != bytes.len || memcmp(m->bytes, bytes.ptr, bytes.len) != 0) {
        digest_hmac(&c->key, bytes, &m->id);
        memcpy(m->bytes, bytes.ptr, bytes.len);
        m->len = bytes.len;
    }
    *out = m->id;
    return ST_OK;
}

enum status credential_of(struct credentials *c, const struct http_head *h, struct digest *out)
{
    struct parts p = parts_start(c, SPAN("credential"));

    for (size_t i = 0; i < h->field_count; i++) {
        /* What the client keeps from the upstream (Connection: authorization) is not
         * what the upstream judges. */
        if (!credential_is_one(h->fields[i].name) ||
            http_head_is_hop_by_hop(h, h->fields[i].name))
            continue;
        put_lower(&p, h->fields[i].name);
        put_part(&p, h->fields[i].value);
    }
    return hash_or_recall(&p, c, out);
}

/* The end user as the request names them, whatever the kind of value: 1 is not "1",
 * and null is nobody, like absent. */
static void put_end_user(struct parts *p, const struct json *body)
{
    /* OpenAI's, its new one, Anthropic's */
    const struct json *const named[] = {
        json_get(body, SPAN("user")), json_get(body, SPAN("safety_identifier")),
        json_get(json_get(body, SPAN("metadata")), SPAN("user_id"))};

    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        const struct json *v = named[i];
        struct buf text;

        buf_init(&text, SIZE_MAX / 4);
        if (p->st == ST_OK && v != NULL && v->type != JSON_NULL)
            p->st = json_write_canonical(&text, v);
        put_part(p, buf_span(&text));
        buf_release(&text);
    }
}

/* All of that name: which one counts for the upstream is not ours to guess. */
static void put_header(struct parts *p, const struct http_head *h, struct span name)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (http_name_eq(h->fields[i].name, name))
            put_part(p, h->fields[i].value);
    }
}

enum status credential_scope(struct credentials *c, const struct config *config,
                             const struct credential_claims *r, struct digest *out)
{
    struct span own = {(const char *)r->credential->bytes, DIGEST_BYTES};
    bool nameless = config->cache.scope == SCOPE_CERTIFICATE && r->client.len == 0;
    struct parts p;

    if (config->cache.scope == SCOPE_CREDENTIAL || nameless) {
        *out = *r->credential;
        return ST_OK;
    }
    p = parts_start(c, SPAN("scope"));
    switch (config->cache.scope) {
    case SCOPE_CREDENTIAL:
        break;
    case SCOPE_USER:
        put_part(&p, SPAN("user"));
        put_part(&p, own);
        put_end_user(&p, r->body);
        break;
    case SCOPE_HEADER:
        put_part(&p, SPAN("header"));
        put_part(&p, own);
        put_header(&p, r->head, span_of(config->cache.scope_header));
        break;
    case SCOPE_CERTIFICATE:
        put_part(&p, SPAN("certificate"));
        put_part(&p, r->client);
        break;
    case SCOPE_SHARED:
        put_part(&p, SPAN("shared"));
        put_part(&p, span_of(config->cache.scope_name));
        break;
    }
    return parts_finish(&p, c, out);
}

/* Two digests that nobody can choose the difference of: one for the pair. */
static struct digest pair_of(const struct digest *id, const struct digest *by)
{
    struct digest pair;

    for (size_t i = 0; i < DIGEST_BYTES; i++)
        pair.bytes[i] = id->bytes[i] ^ by->bytes[i];
    return pair;
}

static size_t home_slot(const struct digest *pair)
{
    uint32_t n;

    memcpy(&n, pair->bytes, sizeof(n)); /* an HMAC: any of its bytes are spread evenly */
    return n % CREDENTIALS_MAX;
}

static struct credential_slot *find_slot(const struct credentials *c, const struct digest *pair)
{
    size_t at = home_slot(pair);

    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct credential_slot *s = &c->slots[(at + i) % CREDENTIALS_MAX];

        if (s->accepted_us != 0 && digest_eq(&s->pair, pair))
            return s;
    }
    return NULL;
}

bool credential_accepted(const struct credentials *c, const struct digest *id,
                         const struct digest *by, uint64_t now_us)
{
    struct digest pair = pair_of(id, by);
    const struct credential_slot *s = find_slot(c, &pair);

    if (s != NULL && now_us - s->accepted_us <= c->ttl_us)
        return true;
    for (size_t i = 0; i < c->listed_count; i++) {
        if (digest_eq(&c->listed[i], id))
            return true;
    }
    return false;
}

void credential_accept(struct credentials *c, const struct digest *id, const struct digest *by,
                       uint64_t now_us)
{
    struct digest pair = pair_of(id, by);
    struct credential_slot *s = find_slot(c, &pair);
    size_t at = home_slot(&pair);

    if (s == NULL) {
        s = &c->slots[at];
        for (size_t i = 1; i < PROBES_MAX; i++) {
            struct credential_slot *other = &c->slots[(at + i) % CREDENTIALS_MAX];

            if (other->accepted_us < s->accepted_us)
                s = other;
        }
    }
    s->pair = pair;
    s->accepted_us = now_us > 0 ? now_us : 1;
}

void credential_revoke(struct credentials *c, const struct digest *id, const struct digest *by)
{
    struct digest pair = pair_of(id, by);
    struct credential_slot *s = find_slot(c, &pair);

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

    buf_init(&value, ACCEPT_FILE_MAX + 16);
    st = buf_append(&value, SPAN("Bearer "));
    if (st == ST_OK)
        st = buf_append(&value, key);
    field.value = buf_span(&value);
    if (st == ST_OK)
        st = credential_of(c, &head, out);
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
    buf_init(&c->bytes, SIZE_MAX / 4); /* bounded by the limits of head and body */
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

enum status credential_adopt(struct credentials *c, const struct config *config)
{
    struct digest *before = c->listed;
    size_t count = c->listed_count;
    enum status st = ST_OK;

    c->listed = NULL;
    c->listed_count = 0;
    if (config->upstream.accept_file[0] != '\0')
        st = read_listed(c, config->upstream.accept_file);
    if (st != ST_OK) {
        free(c->listed);
        c->listed = before;
        c->listed_count = count;
        return st;
    }
    free(before);
    c->ttl_us = config->upstream.auth_ttl_s * 1000000;
    return ST_OK;
}

void credential_close(struct credentials *c)
{
    digest_key_release(&c->key);
    free(c->slots);
    free(c->listed);
    if (c->memos != NULL)
        digest_wipe(c->memos, CREDENTIAL_MEMOS * sizeof(*c->memos));
    free(c->memos);
    if (c->bytes.ptr != NULL)
        digest_wipe(c->bytes.ptr, c->bytes.cap);
    buf_release(&c->bytes);
    *c = (struct credentials){0};
}
