/* Names, asked of a name server in this file on 127.0.0.1. What is kept, and how long,
 * goes by a clock that is turned by hand. */
#include "rt/dns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "check.h"
#include "rt/loop.h"

#define SECOND 1000000u

enum { HEAD = 12, TYPE_A = 1, TYPE_CNAME = 5, NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3 };

/* --- a name server ----------------------------------------------------------------- */

struct server {
    int fd;
    char address[32];
    bool silent;
    unsigned rcode;
    unsigned count; /* addresses in an answer: 192.0.2.1 and on */
    uint32_t ttl_s;
    bool alias; /* a CNAME stands before them, with cname_ttl_s */
    uint32_t cname_ttl_s;
    unsigned asked; /* for IPv4 addresses */
};

static void server_open(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    memset(s, 0, sizeof(*s));
    s->count = 1;
    s->ttl_s = 60;
    s->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(fcntl(s->fd, F_SETFL, O_NONBLOCK), 0);
    snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(a.sin_port));
}

static size_t put_record(unsigned char *at, unsigned type, uint32_t ttl_s, const void *data,
                         unsigned len)
{
    const unsigned char head[] = {0xc0,
                                  HEAD, /* the name of the question */
                                  0,
                                  (unsigned char)type,
                                  0,
                                  1,
                                  (unsigned char)(ttl_s >> 24),
                                  (unsigned char)(ttl_s >> 16),
                                  (unsigned char)(ttl_s >> 8),
                                  (unsigned char)ttl_s,
                                  0,
                                  (unsigned char)len};

    memcpy(at, head, sizeof(head));
    memcpy(at + sizeof(head), data, len);
    return sizeof(head) + len;
}

static size_t answer(struct server *s, unsigned char *m, size_t n)
{
    unsigned type = (unsigned)m[n - 4] << 8 | m[n - 3], records = 0;

    m[2] = 0x81;
    m[3] = (unsigned char)(0x80 | s->rcode);
    memset(m + 8, 0, 4);
    if (type != TYPE_A)
        return n;
    s->asked++;
    if (s->rcode != NOERROR)
        return n;
    if (s->alias) {
        static const unsigned char self[] = {0xc0, HEAD};

        n += put_record(m + n, TYPE_CNAME, s->cname_ttl_s, self, sizeof(self));
        records++;
    }
    for (unsigned i = 0; i < s->count; i++, records++) {
        const unsigned char ip[] = {192, 0, 2, (unsigned char)(i + 1)};

        n += put_record(m + n, TYPE_A, s->ttl_s, ip, sizeof(ip));
    }
    m[7] = (unsigned char)records;
    return n;
}

/* Answers what has come. */
static void serve(struct server *s)
{
    unsigned char m[1024];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    ssize_t n;

    while ((n = recvfrom(s->fd, m, 512, 0, (struct sockaddr *)&from, &len)) > HEAD + 4) {
        /* Without what stands behind the question (EDNS). */
        size_t end = HEAD;

        while (end < (size_t)n && m[end] != 0)
            end += 1u + m[end];
        end += 5;
        m[4] = 0;
        m[5] = 1;
        assert_true(end <= (size_t)n);
        end = answer(s, m, end);
        if (!s->silent)
            assert_int_equal(sendto(s->fd, m, end, 0, (struct sockaddr *)&from, len), end);
    }
}

/* --- a caller ---------------------------------------------------------------------- */

struct asker {
    struct dns_query query; /* first */
    struct dns *dns;
    unsigned done;
    enum status st;
    struct sockaddr_storage list[DNS_ADDRESSES_MAX];
    size_t count;
    /* What it does in its `done`. */
    struct asker *cancels, *asks;
    bool closes;
    const char *host;
};

struct world {
    struct loop *loop;
    struct dns *dns;
    struct server server;
};

static void on_done(struct dns_query *q, enum status st, const struct sockaddr_storage *list,
                    size_t n);

static void ask(struct asker *a, struct dns *dns, const char *host)
{
    a->dns = dns;
    a->done = 0;
    CHECK_STATUS(ST_OK, dns_resolve(dns, host, &a->query, on_done));
    assert_int_equal(a->done, 0); /* later */
}

static void on_done(struct dns_query *q, enum status st, const struct sockaddr_storage *list,
                    size_t n)
{
    struct asker *a = (struct asker *)q;

    a->done++;
    a->st = st;
    a->count = n;
    assert_true((n > 0) == (st == ST_OK));
    for (size_t i = 0; i < n; i++)
        a->list[i] = list[i];
    if (a->cancels != NULL)
        dns_cancel(a->dns, &a->cancels->query);
    if (a->asks != NULL)
        ask(a->asks, a->dns, a->asks->host);
    if (a->closes)
        dns_close(a->dns);
}

static void start(struct world *w, uint32_t ttl_max_s)
{
    CHECK_STATUS(ST_OK, loop_open(&w->loop));
    loop_set_now_us(w->loop, 1000 * (uint64_t)SECOND);
    server_open(&w->server);
    CHECK_STATUS(ST_OK, dns_open(w->loop, ttl_max_s, w->server.address, &w->dns));
}

static void finish(struct world *w)
{
    if (w->dns != NULL)
        dns_close(w->dns);
    loop_run(w->loop);
    CHECK_STATUS(ST_OK, loop_close(w->loop));
    close(w->server.fd);
}

static void turn(struct world *w)
{
    serve(&w->server);
    loop_turn(w->loop);
}

static void wait_done(struct world *w, struct asker *a)
{
    while (a->done == 0)
        turn(w);
    assert_int_equal(a->done, 1);
}

static void look_up(struct world *w, struct asker *a, const char *host)
{
    ask(a, w->dns, host);
    wait_done(w, a);
}

static void pass(struct world *w, uint64_t us)
{
    loop_set_now_us(w->loop, loop_now_us(w->loop) + us);
}

/* ----------------------------------------------------------------------------------- */

static void test_all_addresses_of_a_name(void **state)
{
    struct asker a = {0};
    struct world w;

    (void)state;
    start(&w, 300);
    w.server.count = 3;
    look_up(&w, &a, "api.example.test");
    CHECK_STATUS(ST_OK, a.st);
    assert_int_equal(a.count, 3);
    for (size_t i = 0; i < a.count; i++) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a.list[i];

        assert_int_equal(v4->sin_family, AF_INET);
        assert_int_equal(v4->sin_port, 0);
        assert_int_equal(ntohl(v4->sin_addr.s_addr) & 0xffffff00u, 0xc0000200u);
    }
    w.server.count = 20;
    look_up(&w, &a, "many.example.test");
    assert_int_equal(a.count, DNS_ADDRESSES_MAX);
    finish(&w);
}

static void test_kept_by_ttl_within_bounds(void **state)
{
    static const struct {
        uint32_t ttl_max_s, ttl_s, cname_ttl_s; /* 0: no CNAME */
        uint32_t kept_s;
    } cases[] = {
        {300, 60, 0, 60}, {30, 60, 0, 30}, {300, 60, 20, 20}, {300, 0, 0, 1}, {300, 1, 60, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct asker a = {0};
        struct world w;

        start(&w, cases[i].ttl_max_s);
        w.server.ttl_s = cases[i].ttl_s;
        w.server.alias = cases[i].cname_ttl_s != 0;
        w.server.cname_ttl_s = cases[i].cname_ttl_s;
        look_up(&w, &a, "api.example.test");
        CHECK_STATUS(ST_OK, a.st);
        pass(&w, cases[i].kept_s * (uint64_t)SECOND - 1);
        look_up(&w, &a, "api.example.test");
        assert_int_equal(w.server.asked, 1);
        pass(&w, 1);
        look_up(&w, &a, "api.example.test");
        assert_int_equal(w.server.asked, 2);
        finish(&w);
    }
}

static void test_one_question_for_many(void **state)
{
    struct asker a[20] = {0};
    struct world w;

    (void)state;
    start(&w, 300);
    for (size_t i = 0; i < ARRAY_LEN(a); i++)
        ask(&a[i], w.dns, "api.example.test");
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        wait_done(&w, &a[i]);
        CHECK_STATUS(ST_OK, a[i].st);
    }
    assert_int_equal(w.server.asked, 1);
    finish(&w);
}

static void test_failures(void **state)
{
    static const struct {
        unsigned rcode;
        enum status st;
    } cases[] = {{NXDOMAIN, ST_NOTFOUND}, {SERVFAIL, ST_UNAVAILABLE}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct asker a = {0};
        struct world w;
        unsigned asked;

        start(&w, 300);
        w.server.rcode = cases[i].rcode;
        look_up(&w, &a, "api.example.test");
        CHECK_STATUS(cases[i].st, a.st);
        /* Not asked again at once, but soon. */
        asked = w.server.asked;
        look_up(&w, &a, "api.example.test");
        CHECK_STATUS(cases[i].st, a.st);
        assert_int_equal(w.server.asked, asked);
        w.server.rcode = NOERROR;
        pass(&w, SECOND);
        look_up(&w, &a, "api.example.test");
        CHECK_STATUS(ST_OK, a.st);
        finish(&w);
    }
}

static void test_last_good_answer_serves_on(void **state)
{
    static const unsigned rcodes[] = {NXDOMAIN, SERVFAIL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rcodes); i++) {
        struct asker a = {0};
        struct world w;

        start(&w, 300);
        look_up(&w, &a, "api.example.test");
        w.server.rcode = rcodes[i];
        pass(&w, 100 * (uint64_t)SECOND);
        look_up(&w, &a, "api.example.test");
        CHECK_STATUS(ST_OK, a.st);
        assert_true(w.server.asked > 1);
        finish(&w);
    }
}

/* A name server that went silent costs a connection half a second, not its deadline. */
static void test_silent_server_does_not_hold_an_old_answer(void **state)
{
    struct asker a = {0};
    struct world w;

    (void)state;
    start(&w, 300);
    look_up(&w, &a, "api.example.test");
    w.server.silent = true;
    pass(&w, 100 * (uint64_t)SECOND);
    ask(&a, w.dns, "api.example.test");
    for (unsigned i = 0; i < 20; i++)
        turn(&w);
    assert_int_equal(a.done, 0); /* there may be a new one yet */
    pass(&w, SECOND / 2);
    wait_done(&w, &a);
    CHECK_STATUS(ST_OK, a.st);
    finish(&w);
}

static void test_known_without_asking(void **state)
{
    struct asker a = {0};
    struct world w;

    (void)state;
    start(&w, 300);
    w.server.rcode = NXDOMAIN;
    look_up(&w, &a, "localhost");
    CHECK_STATUS(ST_OK, a.st);
    for (size_t i = 0; i < a.count; i++) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a.list[i];

        if (v4->sin_family == AF_INET)
            assert_int_equal(ntohl(v4->sin_addr.s_addr) >> 24, 127);
    }
    assert_int_equal(w.server.asked, 0);
    finish(&w);
}

/* The first name of /etc/hosts that is not a localhost, if there is one. */
static bool name_in_hosts_file(char *name, char *ip)
{
    FILE *f = fopen("/etc/hosts", "r");
    char line[512];
    bool found = false;

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        unsigned char bytes[4];

        found = sscanf(line, "%63s %250s", ip, name) == 2 &&
                inet_pton(AF_INET, ip, bytes) == 1 && strstr(name, "localhost") == NULL;
    }
    if (f != NULL)
        fclose(f);
    return found;
}

static void test_hosts_file(void **state)
{
    struct asker a = {0};
    struct world w;
    char name[256], ip[64], got[64];
    bool seen = false;

    (void)state;
    if (!name_in_hosts_file(name, ip))
        skip();
    start(&w, 300);
    w.server.rcode = NXDOMAIN;
    look_up(&w, &a, name);
    CHECK_STATUS(ST_OK, a.st);
    for (size_t i = 0; i < a.count; i++) {
        uv_ip4_name((const struct sockaddr_in *)&a.list[i], got, sizeof(got));
        seen = seen || (a.list[i].ss_family == AF_INET && strcmp(got, ip) == 0);
    }
    assert_true(seen);
    assert_int_equal(w.server.asked, 0);
    finish(&w);
}

static void test_cancel_on_the_way(void **state)
{
    struct asker a = {0}, b = {0};
    struct world w;

    (void)state;
    start(&w, 300);
    ask(&a, w.dns, "api.example.test");
    ask(&b, w.dns, "api.example.test");
    dns_cancel(w.dns, &a.query);
    wait_done(&w, &b);
    CHECK_STATUS(ST_OK, b.st);
    assert_int_equal(a.done, 0);
    finish(&w);
}

/* What `done` may do: cancel others of the same answer, ask again, close it all. */
static void test_done_may_do_anything(void **state)
{
    struct asker *a = calloc(3, sizeof(*a));
    struct asker again = {.host = "api.example.test"}, other = {.host = "other.example.test"};
    struct world w;

    (void)state;
    assert_non_null(a);
    start(&w, 300);
    for (unsigned i = 0; i < 3; i++)
        ask(&a[i], w.dns, "api.example.test");
    a[2].cancels = &a[1]; /* told first: the last that asked */
    a[2].asks = &again;
    a[0].asks = &other;
    wait_done(&w, &a[2]);
    wait_done(&w, &a[0]);
    wait_done(&w, &again);
    wait_done(&w, &other);
    assert_int_equal(a[1].done, 0);

    ask(&a[0], w.dns, "third.example.test");
    ask(&a[2], w.dns, "third.example.test");
    a[0].asks = a[2].asks = a[2].cancels = NULL;
    a[2].closes = true;
    wait_done(&w, &a[2]);
    w.dns = NULL;
    CHECK_STATUS(ST_OK, a[2].st);
    wait_done(&w, &a[0]);
    CHECK_STATUS(ST_CANCELED, a[0].st);
    finish(&w);
    free(a);
}

static void test_close_cancels(void **state)
{
    struct asker a = {0};
    struct world w;

    (void)state;
    start(&w, 300);
    w.server.silent = true;
    ask(&a, w.dns, "api.example.test");
    turn(&w);
    dns_close(w.dns);
    w.dns = NULL;
    assert_int_equal(a.done, 0);
    wait_done(&w, &a);
    CHECK_STATUS(ST_CANCELED, a.st);
    finish(&w);
}

static void test_names_are_bounded(void **state)
{
    enum { MANY = 200 };
    struct asker *a = calloc(MANY, sizeof(*a));
    struct dns_query refused;
    struct world w;
    unsigned in_flight = 0;
    char host[64], too_long[300];

    (void)state;
    assert_non_null(a);
    start(&w, 300);
    for (unsigned i = 0; i < MANY; i++) { /* old ones are forgotten */
        snprintf(host, sizeof(host), "n%u.example.test", i);
        look_up(&w, &a[i], host);
        CHECK_STATUS(ST_OK, a[i].st);
    }
    w.server.silent = true;
    for (unsigned i = 0; i < MANY; i++) { /* those in flight are not */
        snprintf(host, sizeof(host), "m%u.example.test", i);
        if (dns_resolve(w.dns, host, &a[i].query, on_done) != ST_OK)
            break;
        in_flight++;
    }
    assert_in_range(in_flight, 1, MANY - 1);
    CHECK_STATUS(ST_OVERLOAD, dns_resolve(w.dns, "x.example.test", &refused, on_done));
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    CHECK_STATUS(ST_INVALID, dns_resolve(w.dns, too_long, &refused, on_done));
    finish(&w);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_addresses_of_a_name),
        cmocka_unit_test(test_kept_by_ttl_within_bounds),
        cmocka_unit_test(test_one_question_for_many),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_last_good_answer_serves_on),
        cmocka_unit_test(test_silent_server_does_not_hold_an_old_answer),
        cmocka_unit_test(test_known_without_asking),
        cmocka_unit_test(test_hosts_file),
        cmocka_unit_test(test_cancel_on_the_way),
        cmocka_unit_test(test_done_may_do_anything),
        cmocka_unit_test(test_close_cancels),
        cmocka_unit_test(test_names_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
