#include "rt/io_tls_identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "rt/io_tls_identity_ssl.h"
#include "rt/io_tls_stream.h"

/* RFC 9113 9.2.2 allows HTTP/2 no others with TLS 1.2, and nobody misses them: a key exchange
 * that does not give old traffic away with the key, and ciphers that authenticate. */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
/* Between a session's resumptions; a client's certificate is not looked at again before. */
#define SESSION_S  3600
#define PATH_BYTES 1024

/* Whoever has a passphrase to type is not at a server's terminal. */
static int no_passphrase(char *buf, int size, int writing, void *owner)
{
    (void)buf, (void)size, (void)writing, (void)owner;
    return -1;
}

static enum status refuse(const char *what, const char *path, char *why, size_t why_cap)
{
    unsigned long code = ERR_peek_last_error();
    char reason[128];

    if (ERR_GET_LIB(code) == ERR_LIB_SYS || errno == ENOENT || errno == EACCES)
        snprintf(reason, sizeof(reason), "%s", strerror(errno));
    else
        io_tls_stream_error(reason, sizeof(reason));
    ERR_clear_error();
    snprintf(why, why_cap, "cannot use the %s '%s': %s", what, path, reason);
    return ST_INVALID;
}

static enum status load_key(struct io_tls_identity *i, const char *path, char *why,
                            size_t why_cap)
{
    struct stat info;

    if (SSL_CTX_use_PrivateKey_file(i->ssl, path, SSL_FILETYPE_PEM) != 1) {
        unsigned long code = ERR_peek_last_error();

        /* use_PrivateKey compares it with the certificate at once. */
        if (ERR_GET_LIB(code) == ERR_LIB_X509) {
            ERR_clear_error();
            snprintf(why, why_cap, "the key '%s' is not that of the certificate", path);
            return ST_INVALID;
        }
        return refuse("key", path, why, why_cap);
    }
    if (SSL_CTX_check_private_key(i->ssl) != 1)
        return refuse("key", path, why, why_cap);
    i->facts.key_is_public = stat(path, &info) == 0 && (info.st_mode & S_IRWXO) != 0;
    return ST_OK;
}

static enum status load_client_ca(struct io_tls_identity *i, const char *path, char *why,
                                  size_t why_cap)
{
    STACK_OF(X509_NAME) * names;

    if (path == NULL)
        return ST_OK;
    names = SSL_load_client_CA_file(path);
    if (names == NULL || SSL_CTX_load_verify_file(i->ssl, path) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return refuse("authorities of clients in", path, why, why_cap);
    }
    SSL_CTX_set_client_CA_list(i->ssl, names); /* owned from here on */
    SSL_CTX_set_verify(i->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ST_OK;
}

/* A list that is missing must not open the door: the library refuses then
 * (X509_V_ERR_UNABLE_TO_GET_CRL). */
static enum status load_client_crl(struct io_tls_identity *i, const char *path, char *why,
                                   size_t why_cap)
{
    X509_STORE *store = SSL_CTX_get_cert_store(i->ssl);
    X509_LOOKUP *lookup;

    if (path == NULL)
        return ST_OK;
    errno = 0;
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1)
        return refuse("list of revoked certificates", path, why, why_cap);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return ST_OK;
}

static bool seconds_of(const ASN1_TIME *t, int64_t *out)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    bool ok = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;

    ASN1_TIME_free(epoch);
    *out = (int64_t)days * 86400 + seconds;
    return ok;
}

static enum status load_all(struct io_tls_identity *i, const struct io_tls_identity_files *f,
                            char *why, size_t why_cap)
{
    const X509 *x;
    enum status st;

    errno = 0;
    if (SSL_CTX_use_certificate_chain_file(i->ssl, f->cert) != 1)
        return refuse("certificate", f->cert, why, why_cap);
    st = load_key(i, f->key, why, why_cap);
    if (st == ST_OK)
        st = load_client_ca(i, f->client_ca, why, why_cap);
    if (st == ST_OK && f->client_ca != NULL)
        st = load_client_crl(i, f->client_crl, why, why_cap);
    x = SSL_CTX_get0_certificate(i->ssl);
    if (st == ST_OK && (!seconds_of(X509_get0_notBefore(x), &i->facts.not_before_s) ||
                        !seconds_of(X509_get0_notAfter(x), &i->facts.not_after_s)))
        return refuse("times of the certificate", f->cert, why, why_cap);
    return st;
}

static void set_rules(SSL_CTX *ctx)
{
    static const unsigned char name[] = "ibid";

    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION);
    /* An idle connection holds no buffers for records. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    /* Sessions are kept by the clients, in tickets: nothing to bound here. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, name, sizeof(name) - 1);
    SSL_CTX_set_timeout(ctx, SESSION_S);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
}

/* One certificate, with what is asked of clients. */
static enum status open_one(const struct io_tls_identity_files *files,
                            struct io_tls_identity *i, char *why, size_t why_cap)
{
    enum status st = ST_NOMEM;

    snprintf(why, why_cap, "out of memory");
    ERR_clear_error();
    i->ssl = SSL_CTX_new(TLS_server_method());
    if (i->ssl != NULL && SSL_CTX_set_cipher_list(i->ssl, CIPHERS_TLS12) == 1) {
        set_rules(i->ssl);
        st = load_all(i, files, why, why_cap);
    }
    ERR_clear_error();
    if (st == ST_OK)
        why[0] = '\0';
    return st;
}

/* --- certificates for other names --------------------------------------------------------- */

struct place {
    char cert[PATH_BYTES + 8], key[PATH_BYTES + 8]; /* with "/tls.crt" */
};

/* The next word of *text, as files; false: there is none, or its path is too long (*st). */
static bool next_place(const char **text, struct place *out, enum status *st)
{
    size_t skip = strspn(*text, " "), n = strcspn(*text + skip, " ");
    char path[PATH_BYTES];
    struct stat info;
    bool folder;

    if (n == 0)
        return false;
    if (n >= sizeof(path)) {
        *st = ST_LIMIT;
        return false;
    }
    memcpy(path, *text + skip, n);
    path[n] = '\0';
    *text += skip + n;
    folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    snprintf(out->cert, sizeof(out->cert), "%s%s", path, folder ? "/tls.crt" : "");
    snprintf(out->key, sizeof(out->key), "%s%s", path, folder ? "/tls.key" : "");
    return true;
}

static enum status add_one(struct io_tls_identity *i, const struct io_tls_identity_files *files,
                           const struct place *at, char *why, size_t why_cap)
{
    struct io_tls_identity_files own = *files;
    struct io_tls_identity one = {.ssl = NULL};
    enum status st;

    own.cert = at->cert;
    own.key = at->key;
    st = open_one(&own, &one, why, why_cap);
    if (st != ST_OK) {
        SSL_CTX_free(one.ssl);
        return st;
    }
    i->more[i->more_count++] = one.ssl;
    if (one.facts.not_before_s > i->facts.not_before_s)
        i->facts.not_before_s = one.facts.not_before_s;
    if (one.facts.not_after_s < i->facts.not_after_s)
        i->facts.not_after_s = one.facts.not_after_s;
    i->facts.key_is_public |= one.facts.key_is_public;
    return ST_OK;
}

static bool is_for(const SSL_CTX *ssl, const char *name)
{
    return X509_check_host(SSL_CTX_get0_certificate(ssl), name, 0,
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* Who asks for a name that nobody has is shown the first, as who asks for none: it is for the
 * client to judge. */
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct io_tls_identity *i = SSL_get_app_data(ssl);

    (void)alert, (void)arg;
    if (name == NULL || i == NULL || is_for(i->ssl, name))
        return SSL_TLSEXT_ERR_OK;
    for (size_t n = 0; n < i->more_count; n++) {
        if (is_for(i->more[n], name))
            return SSL_set_SSL_CTX(ssl, i->more[n]) != NULL ? SSL_TLSEXT_ERR_OK
                                                            : SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static enum status add_more(struct io_tls_identity *i,
                            const struct io_tls_identity_files *files, char *why,
                            size_t why_cap)
{
    const char *text = files->more != NULL ? files->more : "";
    enum status st = ST_OK;
    struct place at;

    while (st == ST_OK && next_place(&text, &at, &st)) {
        if (i->more_count == IO_TLS_IDENTITY_MORE_MAX) {
            snprintf(why, why_cap, "there are more than %d certificates for other names",
                     IO_TLS_IDENTITY_MORE_MAX);
            return ST_LIMIT;
        }
        st = add_one(i, files, &at, why, why_cap);
    }
    if (st == ST_LIMIT)
        snprintf(why, why_cap, "a path is too long");
    if (i->more_count > 0)
        SSL_CTX_set_tlsext_servername_callback(i->ssl, choose_certificate);
    return st;
}

enum status io_tls_identity_open(const struct io_tls_identity_files *files,
                                 struct io_tls_identity **out, char *why, size_t why_cap)
{
    struct io_tls_identity *i = calloc(1, sizeof(*i));
    enum status st;

    if (i == NULL) {
        snprintf(why, why_cap, "out of memory");
        return ST_NOMEM;
    }
    i->refs = 1;
    st = open_one(files, i, why, why_cap);
    if (st == ST_OK)
        st = add_more(i, files, why, why_cap);
    if (st != ST_OK) {
        io_tls_identity_close(i);
        return st;
    }
    *out = i;
    return ST_OK;
}

struct io_tls_identity *io_tls_identity_ref(struct io_tls_identity *i)
{
    i->refs++;
    return i;
}

void io_tls_identity_close(struct io_tls_identity *i)
{
    if (i == NULL || --i->refs > 0)
        return;
    SSL_CTX_free(i->ssl);
    for (size_t n = 0; n < i->more_count; n++)
        SSL_CTX_free(i->more[n]);
    free(i);
}

void io_tls_identity_facts(const struct io_tls_identity *i, struct io_tls_identity_facts *out)
{
    *out = i->facts;
}

static void day_of(int64_t s, char out[32])
{
    struct tm t;
    time_t at = (time_t)s;

    if (gmtime_r(&at, &t) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &t) == 0)
        snprintf(out, 32, "%lld", (long long)s);
}

bool io_tls_identity_is_current(const struct io_tls_identity *i, int64_t now_s, char *why,
                                size_t why_cap)
{
    char day[32];

    if (now_s > i->facts.not_after_s) {
        day_of(i->facts.not_after_s, day);
        snprintf(why, why_cap, "the certificate expired at %s", day);
        return false;
    }
    if (now_s < i->facts.not_before_s) {
        day_of(i->facts.not_before_s, day);
        snprintf(why, why_cap, "the certificate is not valid before %s", day);
        return false;
    }
    return true;
}

/* FNV-1a (draft-eastlake-fnv), 64 bits. */
static uint64_t mix(uint64_t h, uint64_t n)
{
    for (unsigned i = 0; i < 64; i += 8)
        h = (h ^ (n >> i & 0xff)) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t mix_file(uint64_t h, const char *path)
{
    struct stat info;

    if (path == NULL || stat(path, &info) != 0)
        memset(&info, 0, sizeof(info));
    h = mix(h, (uint64_t)info.st_dev);
    h = mix(h, (uint64_t)info.st_ino);
    h = mix(h, (uint64_t)info.st_size);
    h = mix(h, (uint64_t)info.st_mtim.tv_sec);
    return mix(h, (uint64_t)info.st_mtim.tv_nsec);
}

uint64_t io_tls_identity_stamp(const struct io_tls_identity_files *files)
{
    const char *const paths[] = {files->cert, files->key, files->client_ca, files->client_crl};
    const char *text = files->more != NULL ? files->more : "";
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    enum status st = ST_OK;
    struct place at;

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        h = mix_file(h, paths[i]);
    while (next_place(&text, &at, &st))
        h = mix_file(mix_file(h, at.cert), at.key);
    return h;
}
