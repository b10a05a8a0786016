#include "base/seal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/digest.h"

#define BLOCK_BYTES 16 /* of AES */
#define VERSION     1
#define ID_AT       8
#define NONCE_AT    16
/* Of the nonce: what the key is derived from; the rest is GCM's own nonce of 96 bits. */
#define DERIVED_FROM_BYTES 12

_Static_assert(NONCE_AT == ID_AT + SEAL_ID_BYTES, "the head is as the header says");

static const char magic[4] = {'i', 'b', 's', 'l'};

/* --- the cipher ----------------------------------------------------------------------------
 */

static enum status aes_block(EVP_CIPHER_CTX *aes, const uint8_t in[BLOCK_BYTES],
                             uint8_t out[BLOCK_BYTES])
{
    int n = 0;

    return EVP_EncryptUpdate(aes, out, &n, in, BLOCK_BYTES) == 1 && n == BLOCK_BYTES
               ? ST_OK
               : ST_INTERNAL;
}

/* CMAC's first subkey (NIST SP 800-38B 6.1): the block of zeros, encrypted, doubled in
 * GF(2^128). Without a branch on what is secret. */
static enum status subkey(EVP_CIPHER_CTX *aes, uint8_t k1[BLOCK_BYTES])
{
    static const uint8_t zeros[BLOCK_BYTES];
    uint8_t l[BLOCK_BYTES];
    enum status st = aes_block(aes, zeros, l);

    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        k1[i] = (uint8_t)(l[i] << 1 | (i + 1 < BLOCK_BYTES ? l[i + 1] >> 7 : 0));
    k1[BLOCK_BYTES - 1] ^= (uint8_t)(0x87 & -(l[0] >> 7));
    OPENSSL_cleanse(l, sizeof(l));
    return st;
}

/* Two calls of CMAC over one block each, counter first (SP 800-108r1 4.1). */
static enum status derive(const uint8_t key[SEAL_KEY_BYTES], const uint8_t *nonce,
                          uint8_t out[SEAL_KEY_BYTES])
{
    EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    uint8_t k1[BLOCK_BYTES], m[BLOCK_BYTES];
    enum status st = ST_NOMEM;

    if (aes != NULL)
        st = EVP_EncryptInit_ex(aes, EVP_aes_256_ecb(), NULL, key, NULL) == 1 ? subkey(aes, k1)
                                                                              : ST_INTERNAL;
    for (unsigned i = 0; st == ST_OK && i < 2; i++) {
        const uint8_t head[4] = {0, (uint8_t)(i + 1), 'X', 0};

        memcpy(m, head, sizeof(head));
        memcpy(m + sizeof(head), nonce, DERIVED_FROM_BYTES);
        for (unsigned b = 0; b < BLOCK_BYTES; b++)
            m[b] ^= k1[b];
        st = aes_block(aes, m, out + i * BLOCK_BYTES);
    }
    OPENSSL_cleanse(k1, sizeof(k1));
    OPENSSL_cleanse(m, sizeof(m));
    EVP_CIPHER_CTX_free(aes);
    return st;
}

static const unsigned char *bytes_of(struct span s)
{
    return (const unsigned char *)s.ptr;
}

static bool start(EVP_CIPHER_CTX *gcm, const uint8_t *key, const uint8_t *nonce,
                  struct span beside, int encrypt)
{
    int n = 0;

    return EVP_CipherInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, nonce + DERIVED_FROM_BYTES,
                             encrypt) == 1 &&
           (beside.len == 0 ||
            EVP_CipherUpdate(gcm, NULL, &n, bytes_of(beside), (int)beside.len) == 1);
}

static enum status crypt(EVP_CIPHER_CTX *gcm, struct span text, char *out)
{
    int n = 0;

    if (text.len == 0)
        return ST_OK;
    return EVP_CipherUpdate(gcm, (unsigned char *)out, &n, bytes_of(text), (int)text.len) == 1
               ? ST_OK
               : ST_INTERNAL;
}

/* A context with the key that this nonce has; NULL: `*st` says why. */
static EVP_CIPHER_CTX *begin(const uint8_t *key, const uint8_t *nonce, struct span beside,
                             size_t len, int encrypt, enum status *st)
{
    EVP_CIPHER_CTX *gcm = NULL;
    uint8_t own[SEAL_KEY_BYTES];

    *st = len > INT_MAX || beside.len > INT_MAX ? ST_LIMIT : derive(key, nonce, own);
    if (*st == ST_OK) {
        gcm = EVP_CIPHER_CTX_new();
        *st = gcm == NULL                               ? ST_NOMEM
              : start(gcm, own, nonce, beside, encrypt) ? ST_OK
                                                        : ST_INTERNAL;
    }
    OPENSSL_cleanse(own, sizeof(own));
    if (*st == ST_OK)
        return gcm;
    EVP_CIPHER_CTX_free(gcm);
    return NULL;
}

enum status seal_encrypt(const uint8_t key[SEAL_KEY_BYTES],
                         const uint8_t nonce[SEAL_NONCE_BYTES], struct span beside,
                         struct span text, char *out)
{
    enum status st;
    EVP_CIPHER_CTX *gcm = begin(key, nonce, beside, text.len, 1, &st);
    int n = 0;

    if (gcm == NULL)
        return st;
    st = crypt(gcm, text, out);
    if (st == ST_OK &&
        (EVP_CipherFinal_ex(gcm, (unsigned char *)out + text.len, &n) != 1 ||
         EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, out + text.len) != 1))
        st = ST_INTERNAL;
    EVP_CIPHER_CTX_free(gcm);
    return st;
}

enum status seal_decrypt(const uint8_t key[SEAL_KEY_BYTES],
                         const uint8_t nonce[SEAL_NONCE_BYTES], struct span beside,
                         struct span text_and_tag, char *out)
{
    size_t len = text_and_tag.len - SEAL_TAG_BYTES;
    unsigned char tag[SEAL_TAG_BYTES], none[BLOCK_BYTES];
    EVP_CIPHER_CTX *gcm;
    enum status st;
    int n = 0;

    if (text_and_tag.len < SEAL_TAG_BYTES)
        return ST_INVALID;
    gcm = begin(key, nonce, beside, len, 0, &st);
    if (gcm == NULL)
        return st;
    memcpy(tag, text_and_tag.ptr + len, sizeof(tag));
    st = crypt(gcm, (struct span){text_and_tag.ptr, len}, out);
    if (st == ST_OK &&
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) != 1)
        st = ST_INTERNAL;
    if (st == ST_OK && EVP_CipherFinal_ex(gcm, none, &n) != 1)
        st = ST_INVALID;
    /* What was not proven is not had. */
    if (st != ST_OK && len > 0)
        OPENSSL_cleanse(out, len);
    EVP_CIPHER_CTX_free(gcm);
    return st;
}

/* --- keys ----------------------------------------------------------------------------------
 */

static void name_key(struct seal_key *k)
{
    static const char purpose[] = "ibid seal key id";
    char text[sizeof(purpose) + SEAL_KEY_BYTES];
    struct digest d;

    memcpy(text, purpose, sizeof(purpose));
    memcpy(text + sizeof(purpose), k->bytes, SEAL_KEY_BYTES);
    digest_sha256((struct span){text, sizeof(text)}, &d);
    memcpy(k->id, d.bytes, SEAL_ID_BYTES);
    OPENSSL_cleanse(text, sizeof(text));
}

static struct span trimmed(struct span s)
{
    while (s.len > 0 && strchr(" \t\r", s.ptr[s.len - 1]) != NULL)
        s.len--;
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    return s;
}

static const struct seal_key *find(const struct seal_ring *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++) {
        if (memcmp(r->keys[i].id, id, SEAL_ID_BYTES) == 0)
            return &r->keys[i];
    }
    return NULL;
}

/* NULL, or what is wrong with the line. */
static const char *add_key(struct seal_ring *r, struct span line)
{
    struct digest bytes;
    struct seal_key *k;

    if (line.len == 0 || line.ptr[0] == '#')
        return NULL;
    if (r->count == SEAL_KEYS_MAX)
        return "there are too many keys";
    if (!digest_from_hex(line, &bytes))
        return "a key is 64 hexadecimal digits (openssl rand -hex 32)";
    k = &r->keys[r->count];
    memcpy(k->bytes, bytes.bytes, SEAL_KEY_BYTES);
    OPENSSL_cleanse(&bytes, sizeof(bytes));
    name_key(k);
    if (find(r, (const char *)k->id) != NULL)
        return "this key is there twice";
    r->count++;
    return NULL;
}

enum status seal_read_keys(struct span text, struct seal_ring *out, char *why, size_t why_cap)
{
    struct seal_ring r = {.count = 0};
    const char *trouble = NULL;
    size_t number = 0;

    while (text.len > 0 && trouble == NULL) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t n = end != NULL ? (size_t)(end - text.ptr) : text.len;

        number++;
        trouble = add_key(&r, trimmed((struct span){text.ptr, n}));
        n += end != NULL;
        text.ptr += n;
        text.len -= n;
    }
    if (trouble == NULL && r.count > 0)
        *out = r;
    OPENSSL_cleanse(r.keys, sizeof(r.keys));
    if (trouble != NULL)
        snprintf(why, why_cap, "line %zu: %s", number, trouble);
    else if (r.count == 0)
        snprintf(why, why_cap, "there is no key in it: 64 hexadecimal digits a line");
    return trouble == NULL && r.count > 0 ? ST_OK : ST_INVALID;
}

/* --- sealed texts ---------------------------------------------------------------------------
 */

bool seal_is_sealed(struct span s)
{
    return s.len >= SEAL_MORE_BYTES && memcmp(s.ptr, magic, sizeof(magic)) == 0;
}

bool seal_has_key(const struct seal_ring *r, struct span sealed)
{
    return seal_is_sealed(sealed) && find(r, sealed.ptr + ID_AT) != NULL;
}

void seal_key_name(struct span sealed, char name[2 * SEAL_ID_BYTES + 1])
{
    uint8_t id[SEAL_ID_BYTES];

    memcpy(id, sealed.ptr + ID_AT, sizeof(id));
    digest_hex(id, sizeof(id), name);
}

enum status seal_close(const struct seal_ring *r, struct span text, struct buf *out)
{
    const struct seal_key *k = &r->keys[0];
    uint8_t nonce[SEAL_NONCE_BYTES];
    enum status st = buf_reserve(out, text.len + SEAL_MORE_BYTES);
    char *at;

    if (st == ST_OK)
        st = digest_random(nonce, sizeof(nonce));
    if (st != ST_OK)
        return st;
    at = out->ptr + out->len;
    memcpy(at, magic, sizeof(magic));
    memcpy(at + sizeof(magic), (const char[]){VERSION, 0, 0, 0}, 4);
    memcpy(at + ID_AT, k->id, SEAL_ID_BYTES);
    memcpy(at + NONCE_AT, nonce, sizeof(nonce));
    st = seal_encrypt(k->bytes, nonce, (struct span){at, NONCE_AT}, text, at + SEAL_HEAD_BYTES);
    if (st == ST_OK)
        out->len += text.len + SEAL_MORE_BYTES;
    return st;
}

enum status seal_open(const struct seal_ring *r, struct span sealed, struct buf *out)
{
    uint8_t nonce[SEAL_NONCE_BYTES];
    const struct seal_key *k;
    enum status st;

    if (!seal_is_sealed(sealed) || sealed.ptr[4] != VERSION || sealed.ptr[5] != 0)
        return ST_INVALID;
    k = find(r, sealed.ptr + ID_AT);
    if (k == NULL)
        return ST_UNAVAILABLE;
    st = buf_reserve(out, sealed.len - SEAL_MORE_BYTES + 1);
    if (st != ST_OK)
        return st;
    memcpy(nonce, sealed.ptr + NONCE_AT, sizeof(nonce));
    st = seal_decrypt(k->bytes, nonce, (struct span){sealed.ptr, NONCE_AT},
                      (struct span){sealed.ptr + SEAL_HEAD_BYTES, sealed.len - SEAL_HEAD_BYTES},
                      out->ptr + out->len);
    if (st == ST_OK)
        out->len += sealed.len - SEAL_MORE_BYTES;
    return st;
}
