#include "certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "check.h"

static void extend(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

struct cert certs_make(const char *name, const char *san, const struct cert *issuer,
                       long from_s, long to_s)
{
    static long serial = 1;
    struct cert c = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *subject;

    assert_non_null(c.x509);
    assert_non_null(c.key);
    X509_set_version(c.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c.x509), from_s);
    X509_gmtime_adj(X509_getm_notAfter(c.x509), to_s);
    X509_set_pubkey(c.x509, c.key);
    subject = X509_get_subject_name(c.x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(c.x509,
                         issuer != NULL ? X509_get_subject_name(issuer->x509) : subject);
    extend(c.x509, NID_basic_constraints, issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    if (san != NULL)
        extend(c.x509, NID_subject_alt_name, san);
    assert_true(X509_sign(c.x509, issuer != NULL ? issuer->key : c.key, EVP_sha256()) > 0);
    return c;
}

void certs_release(struct cert *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
}

static FILE *new_file(char *path, size_t path_cap)
{
    FILE *f;
    int fd;

    assert_true(snprintf(path, path_cap, "/tmp/ibid-test-ca-XXXXXX") < (int)path_cap);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    return f;
}

void certs_write(const struct cert *c, char *path, size_t path_cap)
{
    FILE *f = new_file(path, path_cap);

    assert_int_equal(PEM_write_X509(f, c->x509), 1);
    assert_int_equal(fclose(f), 0);
}

void certs_write_key(const struct cert *c, char *path, size_t path_cap)
{
    FILE *f = new_file(path, path_cap);

    assert_int_equal(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

SSL_CTX *certs_server(const struct cert *c, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_non_null(ctx);
    /* So that a server of an old version can be played at all. */
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    assert_int_equal(SSL_CTX_use_certificate(ctx, c->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, c->key), 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
    return ctx;
}
