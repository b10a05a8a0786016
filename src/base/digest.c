#include "base/digest.h"

#include <assert.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum status digest_init(struct digest_ctx *c)
{
    c->state = EVP_MD_CTX_new();
    if (c->state == NULL)
        return ST_NOMEM;
    /* The algorithm is looked up once; starting anew then costs next to nothing. */
    if (EVP_DigestInit_ex(c->state, EVP_sha256(), NULL) != 1) {
        digest_release(c);
        return ST_UNAVAILABLE;
    }
    return ST_OK;
}

void digest_release(struct digest_ctx *c)
{
    EVP_MD_CTX_free(c->state);
    c->state = NULL;
}

void digest_start(struct digest_ctx *c)
{
    int ok = EVP_DigestInit_ex(c->state, NULL, NULL);

    assert(ok == 1);
    (void)ok;
}

void digest_update(struct digest_ctx *c, struct span s)
{
    int ok = s.len == 0 || EVP_DigestUpdate(c->state, s.ptr, s.len);

    assert(ok == 1);
    (void)ok;
}

void digest_final(struct digest_ctx *c, struct digest *out)
{
    int ok = EVP_DigestFinal_ex(c->state, out->bytes, NULL);

    assert(ok == 1);
    (void)ok;
}

void digest_sha256(struct span s, struct digest *out)
{
    int ok = EVP_Digest(s.ptr, s.len, out->bytes, NULL, EVP_sha256(), NULL);

    assert(ok == 1);
    (void)ok;
}

void digest_hmac(struct span key, struct span s, struct digest *out)
{
    unsigned char *p = HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)s.ptr,
                            s.len, out->bytes, NULL);

    assert(p != NULL);
    (void)p;
}

void digest_hex(const uint8_t *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *hex++ = digits[bytes[i] >> 4];
        *hex++ = digits[bytes[i] & 15];
    }
    *hex = '\0';
}

bool digest_equal_secret(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

enum status digest_random(uint8_t *out, size_t n)
{
    return RAND_bytes(out, (int)n) == 1 ? ST_OK : ST_UNAVAILABLE;
}
