/* What a reload may change, told apart from what it may not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "config/config.h"
#include "config/live.h"
#include "config/records.h"

static struct config *parsed(const char *text)
{
    struct config *c = malloc(sizeof(*c));
    struct config_error err = {.text = ""};

    assert_non_null(c);
    config_defaults(c);
    if (config_parse(c, span_of(text), &err) != ST_OK)
        fail_msg("line %u: %s", err.line, err.text);
    return c;
}

static const char *joined(const struct live_names *n)
{
    static char out[1024];

    out[0] = '\0';
    for (size_t i = 0; i < n->count; i++) {
        strncat(out, i > 0 ? " " : "", sizeof(out) - strlen(out) - 1);
        strncat(out, n->list[i], sizeof(out) - strlen(out) - 1);
    }
    return out;
}

/* Every type of setting: what differs, and what of it is given back. */
static const struct {
    const char *started, *next, *differ, *restart;
} cases[] = {
    {"", "", "", ""},
    {"cache: {threshold: 0.9}", "cache: {threshold: 0.91}", "cache.threshold", ""},
    {"listen: ['127.0.0.1:1', '127.0.0.1:2']", "listen: ['127.0.0.1:1']", "listen", "listen"},
    {"listen: '127.0.0.1:1'", "listen: ['127.0.0.1:2']", "listen", "listen"},
    {"data_dir: /a", "data_dir: /b", "data_dir", "data_dir"},
    {"store: {url: 'redis://u:one@h'}", "store: {url: 'redis://u:two@h'}", "store.url",
     "store.url"},
    {"store: {memory_bytes_max: 1MiB}", "store: {memory_bytes_max: 1048577}",
     "store.memory_bytes_max", "store.memory_bytes_max"},
    {"local: {cpu_share: 0.5}", "local: {cpu_share: 0.25}", "local.cpu_share",
     "local.cpu_share"},
    {"cache: {policy: bounded}", "cache: {policy: threshold}", "cache.policy", "cache.policy"},
    {"cache: {scope: user}", "cache: {scope: credential}", "cache.scope", "cache.scope"},
    {"cache: {semantic: off}", "cache: {semantic: on}", "cache.semantic", "cache.semantic"},
    {"cache: {semantic: shadow}", "cache: {semantic: on}", "cache.semantic", ""},
    {"route: {cascade: default, vote: 3}", "", "route.cascade route.vote", ""},
    {"offline: on", "offline: off", "offline", "offline"},
    {"upstream: {trusted: on}", "", "upstream.trusted", ""},
    {"upstreams: [{name: a, url: 'http://a'}]",
     "upstreams: [{name: a, url: 'http://a', trusted: on}]", "upstreams", ""},
    {"upstreams: [{name: a, url: 'http://a'}]", "upstreams: []", "upstreams", ""},
    {"local: {adapters: 'a=/x'}", "local: {adapters: 'a=/y b=/z'}", "local.adapters", ""},
    {"models: [{name: a, model: x}]", "models: [{name: a, model: x, adapters: {b: /y}}]",
     "models", ""},
    {"route: {models: a}\nprivacy: {email: count}\nlog_level: warn",
     "store: {ttl_s: 5, queue_max: 3}",
     "store.ttl_s store.queue_max route.models privacy.email log_level", "store.queue_max"},
};

static void differences_are_named_and_given_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *a = parsed(cases[i].started), *b = parsed(cases[i].next);
        struct live_names differ, restart, left;

        CHECK_STATUS(ST_OK, live_compare(a, b, &differ));
        for (size_t k = 0; k < differ.count; k++)
            assert_non_null(strstr(cases[i].differ, differ.list[k]));
        assert_int_equal(strlen(cases[i].differ), strlen(joined(&differ)));
        CHECK_STATUS(ST_OK, live_keep(a, b, &restart));
        assert_string_equal(cases[i].restart, joined(&restart));
        /* What is left over is what holds from now on. */
        CHECK_STATUS(ST_OK, live_compare(a, b, &left));
        assert_int_equal(differ.count - restart.count, left.count);
        CHECK_STATUS(ST_OK, live_keep(a, b, &restart));
        assert_int_equal(0, restart.count);
        free(a);
        free(b);
    }
}

/* Of a record that needs a restart what may change holds at once. */
static void a_part_of_a_record_holds_at_once(void **state)
{
    struct config *a = parsed("models: [{name: a, model: x}, {name: c, model: x}]");
    struct config *b = parsed("models: [{name: c, model: z, adapters: {b: /y}}]");
    struct live_names restart;

    (void)state;
    CHECK_STATUS(ST_OK, live_keep(a, b, &restart));
    assert_string_equal("models", joined(&restart));
    assert_int_equal(2, b->model_count);
    assert_string_equal("a", b->models[0].name);
    assert_string_equal("", b->models[0].adapters);
    assert_string_equal("x", b->models[1].model);
    assert_string_equal("b=/y", b->models[1].adapters);
    free(a);
    free(b);
}

/* LIST[].FIELD */
static bool field_exists(const char *name, size_t n)
{
    const char *parts = memchr(name, '[', n);
    const struct records *list =
        parts != NULL ? records_find((struct span){name, (size_t)(parts - name)}) : NULL;

    return list != NULL && n > (size_t)(parts - name) + 3 && memcmp(parts, "[].", 3) == 0 &&
           records_field(list, (struct span){parts + 3, n - (size_t)(parts - name) - 3}) !=
               NULL;
}

static bool exists(const char *name, size_t n)
{
    if (field_exists(name, n))
        return true;
    bool section = name[n - 1] == '.';

    for (size_t i = 0; i < options_table_count; i++) {
        if (strncmp(options_table[i].name, name, n) == 0 &&
            (section || options_table[i].name[n] == '\0'))
            return true;
    }
    return false;
}

/* One that was renamed must not silently need a restart. */
static void what_is_listed_exists(void **state)
{
    struct buf out;
    size_t names = 0;

    (void)state;
    buf_init(&out, 1 << 16);
    CHECK_STATUS(ST_OK, live_write(&out));
    CHECK_STATUS(ST_OK, buf_append(&out, SPAN("\0")));
    for (char *p = out.ptr; (p = strchr(p, '`')) != NULL; names++) {
        char *end = strchr(p + 1, '`');
        size_t n = strcspn(p + 1, "*`");

        assert_non_null(end);
        if (!exists(p + 1, n))
            fail_msg("no such setting: %.*s", (int)n, p + 1);
        p = end + 1;
    }
    assert_true(names > 20);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_named_and_given_back),
        cmocka_unit_test(a_part_of_a_record_holds_at_once),
        cmocka_unit_test(what_is_listed_exists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
