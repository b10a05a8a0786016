#include "cli/tls_settings.h"

#include <stdio.h>
#include <time.h>

#include "config/config.h"
#include "config/listen.h"

/* Who renews by hand has two weeks; who lets it be done has long done it by then. */
#define SOON_S (14 * 86400)

static const char *key_of(const struct config *c)
{
    return c->tls.key_file[0] != '\0' ? c->tls.key_file : c->tls.cert_file;
}

struct io_tls_identity_files tls_settings_files(const struct config *c, bool admin)
{
    const char *client_ca = admin ? c->admin.client_ca_file : c->tls.client_ca_file;

    return (struct io_tls_identity_files){
        .cert = c->tls.cert_file,
        .key = key_of(c),
        .client_ca = client_ca[0] != '\0' ? client_ca : NULL,
        .more = c->tls.more_cert_files,
        .client_crl = c->tls.client_crl_file[0] != '\0' ? c->tls.client_crl_file : NULL,
    };
}

bool tls_settings_warn(const struct config *c, const struct io_tls_identity_facts *f, char *why,
                       size_t why_cap)
{
    int64_t left_s = f->not_after_s - (int64_t)time(NULL);

    why[0] = '\0';
    if (f->key_is_public)
        snprintf(why, why_cap, "tls.key_file: '%s' can be read by everybody; chmod 600 it",
                 key_of(c));
    else if (left_s < SOON_S)
        snprintf(why, why_cap, "tls.cert_file: the certificate expires in %lld hours",
                 (long long)(left_s / 3600));
    return why[0] != '\0';
}

static enum status check_one(const struct config *c, bool admin, char *why, size_t why_cap)
{
    struct io_tls_identity_files files = tls_settings_files(c, admin);
    struct io_tls_identity_facts facts;
    struct io_tls_identity *i;
    enum status st = io_tls_identity_open(&files, &i, why, why_cap);

    if (st != ST_OK)
        return st;
    io_tls_identity_facts(i, &facts);
    if (!io_tls_identity_is_current(i, (int64_t)time(NULL), why, why_cap))
        st = ST_INVALID;
    else
        (void)tls_settings_warn(c, &facts, why, why_cap);
    io_tls_identity_close(i);
    return st;
}

enum status tls_settings_check(const struct config *c, char *why, size_t why_cap)
{
    enum status st = ST_OK;

    why[0] = '\0';
    if (config_listens_tls(c))
        st = check_one(c, false, why, why_cap);
    if (st == ST_OK && listen_is_tls(c->admin.listen))
        st = check_one(c, true, why, why_cap);
    return st;
}
