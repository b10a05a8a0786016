#include "admin/metrics_tls.h"

#include <inttypes.h>

#include "http/tls_door.h"
#include "rt/io_tls_server.h"

static enum status head(struct buf *out, const char *name, const char *type, const char *help)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static enum status outcomes(struct buf *out, const char *name, const struct tls_door_stats *s)
{
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < TLS_DOOR_OUTCOMES; i++)
        st = buf_printf(
            out, "ibid_tls_handshakes_total{listener=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
            name, tls_door_outcome_name((enum tls_door_outcome)i), s->by_outcome[i]);
    return st;
}

enum handshake_value { NOW, TLS12, TLS13, HTTP2 };

static enum status values(struct buf *out, const struct metrics_tls *t, const char *name,
                          const char *label, enum handshake_value which)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < t->count; i++) {
        struct tls_door_stats s;
        uint64_t n = 0;

        tls_door_stats(t->of[i].door, &s);
        switch (which) {
        case NOW:
            n = s.handshakes_now;
            break;
        case TLS12:
            n = s.tls12_total;
            break;
        case TLS13:
            n = s.tls13_total;
            break;
        case HTTP2:
            n = s.http2_total;
            break;
        }
        st = buf_printf(out, "%s{listener=\"%s\"%s} %" PRIu64 "\n", name, t->of[i].name, label,
                        n);
    }
    return st;
}

static enum status handshakes(struct buf *out, const struct metrics_tls *t)
{
    enum status st = head(out, "ibid_tls_handshakes_total", "counter",
                          "Connections to TLS listeners, by what came of their handshake.");

    for (size_t i = 0; st == ST_OK && i < t->count; i++) {
        struct tls_door_stats s;

        tls_door_stats(t->of[i].door, &s);
        st = outcomes(out, t->of[i].name, &s);
    }
    if (st == ST_OK)
        st = head(out, "ibid_tls_handshakes", "gauge", "Handshakes now.");
    if (st == ST_OK)
        st = values(out, t, "ibid_tls_handshakes", "", NOW);
    if (st == ST_OK)
        st = head(out, "ibid_tls_connections_total", "counter",
                  "Connections whose handshake succeeded, by version of TLS.");
    if (st == ST_OK)
        st = values(out, t, "ibid_tls_connections_total", ",version=\"1.2\"", TLS12);
    if (st == ST_OK)
        st = values(out, t, "ibid_tls_connections_total", ",version=\"1.3\"", TLS13);
    if (st == ST_OK)
        st = head(out, "ibid_tls_alpn_http2_total", "counter",
                  "Those of them that chose HTTP/2 by ALPN.");
    return st == ST_OK ? values(out, t, "ibid_tls_alpn_http2_total", "", HTTP2) : st;
}

static enum status certificates(struct buf *out, const struct metrics_tls *t)
{
    enum status st = head(out, "ibid_tls_certificate_expires_seconds", "gauge",
                          "When the certificate shown now expires, in seconds since 1970.");

    for (size_t i = 0; st == ST_OK && i < t->count; i++) {
        struct io_tls_identity_facts f;

        io_tls_server_facts(t->of[i].server, &f);
        st = buf_printf(out,
                        "ibid_tls_certificate_expires_seconds{listener=\"%s\"} %" PRId64 "\n",
                        t->of[i].name, f.not_after_s);
    }
    if (st == ST_OK)
        st = head(out, "ibid_tls_reloads_total", "counter",
                  "Times that changed files of certificates were read, by result.");
    if (st == ST_OK)
        st = buf_printf(out,
                        "ibid_tls_reloads_total{result=\"taken\"} %" PRIu64 "\n"
                        "ibid_tls_reloads_total{result=\"refused\"} %" PRIu64 "\n",
                        t->reloads_total, t->reload_failures_total);
    return st;
}

enum status metrics_tls_write(struct buf *out, const struct metrics_tls *t)
{
    enum status st;

    if (t == NULL)
        return ST_OK;
    st = handshakes(out, t);
    return st == ST_OK ? certificates(out, t) : st;
}
