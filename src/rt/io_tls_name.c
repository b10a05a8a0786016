#include "rt/io_tls_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/compiler.h"

/* In the order in which they are asked for; URIs first: they are what SPIFFE names workloads
 * by (SPIFFE X509-SVID 2). */
static const struct {
    int type;
    const char *word;
} kinds[] = {{GEN_URI, "uri"}, {GEN_DNS, "dns"}, {GEN_EMAIL, "email"}};

static bool put(const char *word, const unsigned char *text, int len, char *out, size_t cap)
{
    int n;

    for (int i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f)
            len = 0;
    }
    n = len > 0 ? snprintf(out, cap, "%s:%.*s", word, len, (const char *)text) : -1;
    if (n > 0 && (size_t)n < cap)
        return true;
    out[0] = '\0';
    return false;
}

static const GENERAL_NAME *first_of(const GENERAL_NAMES *names, int type)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

        if (g->type == type)
            return g;
    }
    return NULL;
}

/* All three kinds are IA5String. True: there is one, whether it is of use or not. */
static bool put_alternative(const X509 *x, char *out, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *g = NULL;

    for (size_t i = 0; names != NULL && g == NULL && i < ARRAY_LEN(kinds); i++) {
        g = first_of(names, kinds[i].type);
        if (g != NULL)
            (void)put(kinds[i].word, ASN1_STRING_get0_data(g->d.ia5),
                      ASN1_STRING_length(g->d.ia5), out, cap);
    }
    GENERAL_NAMES_free(names);
    return g != NULL;
}

static void put_common(const X509 *x, char *out, size_t cap)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    int len = -1;

    if (at >= 0)
        len = ASN1_STRING_to_UTF8(&text,
                                  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len > 0)
        (void)put("cn", text, len, out, cap);
    OPENSSL_free(text);
}

void io_tls_name_of_client(SSL *ssl, char *out, size_t cap)
{
    const X509 *x = SSL_get0_peer_certificate(ssl);

    if (x != NULL && SSL_get_verify_result(ssl) == X509_V_OK && !put_alternative(x, out, cap))
        put_common(x, out, cap);
}
