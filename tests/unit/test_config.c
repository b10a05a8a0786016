#include <stdio.h>
#include <stdlib.h>

#include "check.h"

#include "config/config.h"
#include "config/model_path.h"
#include "config/options.h"
#include "config/value.h"

#define TEXT_MAX (1 << 20)

static struct config *fresh(void)
{
    struct config *c = malloc(sizeof(*c));

    assert_non_null(c);
    config_defaults(c);
    return c;
}

static void defaults_are_valid(void **state)
{
    struct config *c = fresh();
    struct config_error err = {.text = ""};

    (void)state;
    CHECK_STATUS(ST_OK, config_validate(c, &err));
    assert_string_equal("127.0.0.1:8080", c->listen[0]);
    assert_int_equal(1, c->listen_count);
    assert_string_equal("lmdb:", c->store.url);
    assert_true(c->cache.exact && c->cache.coalesce && !c->cache.store_false_ignore);
    assert_int_equal(SEMANTIC_ON, c->cache.semantic);
    assert_int_equal(64 << 20, c->store.memory_bytes_max);
    free(c);
}

static void file_is_read(void **state)
{
    static const char text[] = "# a comment\n"
                               "listen: [ '127.0.0.1:0', \"unix:/tmp/x.sock\" ]\n"
                               "store:\n"
                               "  url: redis://user:pa%20ss@cache:6379/1\n"
                               "  memory_bytes_max: 1 GiB\n"
                               "cache:\n"
                               "  semantic: false\n"
                               "  scope: header\n"
                               "  scope_header: x-end-user\n"
                               "  store_false: ignore\n"
                               "encoder:\n"
                               "cache.threshold: 0.975\n"
                               "prices:\n"
                               "  - {model: big-*, input: 2.5, output: 10, source: a page, "
                               "date: 2026-02-28}\n"
                               "  - {model: big-mini, input: 0.1, output: 1, source: a page, "
                               "date: 2024-02-29}\n";
    struct config *c = fresh();
    struct config_error err = {.text = ""};

    (void)state;
    CHECK_STATUS(ST_OK, config_parse(c, span_of(text), &err));
    CHECK_STATUS(ST_OK, config_validate(c, &err));
    assert_int_equal(2, c->listen_count);
    assert_string_equal("unix:/tmp/x.sock", c->listen[1]);
    assert_int_equal(1 << 30, c->store.memory_bytes_max);
    assert_int_equal(SEMANTIC_OFF, c->cache.semantic);
    assert_int_equal(SCOPE_HEADER, c->cache.scope);
    assert_true(c->cache.store_false_ignore);
    assert_true(c->cache.threshold == 0.975);
    assert_int_equal(2, c->price_count);
    assert_true(config_price_find(c, SPAN("big-mini"))->input_usd_per_mtok == 0.1);
    assert_true(config_price_find(c, SPAN("big-max"))->output_usd_per_mtok == 10);
    assert_null(config_price_find(c, SPAN("small")));
    free(c);
}

/* What the file gets wrong, in which line, and the words that must be said. */
static const struct {
    const char *text;
    unsigned line;
    const char *says;
} refused[] = {
    {"cache:\n  threshold: 1.5\n", 2, "cache.threshold: '1.5' is not within 0..1"},
    {"cache:\n  threshold: high\n", 2, "cache.threshold: 'high' is not a number"},
    {"cache:\n  threshold: nan\n", 2, "is not a number"},
    {"cache:\n  threshold: 0x1\n", 2, "is not a number"},
    {"cache:\n  treshold: 0.9\n", 2, "did you mean 'cache.threshold'?"},
    {"threshold: 0.9\n", 1, "did you mean 'cache.threshold'?"},
    {"cahce:\n  threshold: 0.9\n", 1, "unknown key 'cahce'"},
    {"zzzzzzzzzz: 1\n", 1, "unknown key 'zzzzzzzzzz'"},
    {"cache: on\n", 1, "is a section"},
    {"cache:\n  semantic: maybe\n", 2, "'maybe' is not one of: on, off, shadow"},
    {"cache:\n  policy: learned\n", 2, "'learned' is not one of: threshold, bounded"},
    {"cache:\n  error_max: 0\n", 2, "cache.error_max"},
    {"cache:\n  top_k: 0\n", 2, "'0' is not within 1..8"},
    {"cache:\n  top_k: -1\n", 2, "is not a whole number"},
    {"cache:\n  top_k: [1]\n", 2, "expected a single value"},
    {"cache:\n  exact: on\n\n  exact: on\n", 4, "is already set in line 2"},
    {"cache: {exact: on}\ncache: {exact: off}\n", 2, "is already set in line 1"},
    {"cache: {exact: on}\ncache.exact: off\n", 2, "is already set in line 1"},
    {"store:\n  memory_bytes_max: 1 GB B\n", 2, "is not a size"},
    {"store:\n  memory_bytes_max: 99999999999TiB\n", 2, "is not within 0..1TiB"},
    {"listen: 8080\n", 1, "is not HOST:PORT"},
    {"listen: 127.0.0.1:65536\n", 1, "is not HOST:PORT"},
    {"listen: ::1:80\n", 1, "is not HOST:PORT"},
    {"listen: [a:1, a:1]\n", 1, "is there twice"},
    {"listen: [a:1, \"tls:a:1\"]\n", 1, "is there twice"},
    {"listen: tls:8080\n", 1, "is not HOST:PORT"},
    {"listen: tls:unix:/tmp/x\n", 1, "a Unix socket has no TLS"},
    {"tls:\n  handshake_timeout_ms: 0\n", 2, "is not within"},
    {"listen: {a: b}\n", 1, "expected an address"},
    {"listen: &here 127.0.0.1:1\n", 1, "anchors"},
    {"listen: *here\n", 1, "aliases"},
    {"log_level: !!str info\n", 1, "tags"},
    {"listen: [\n", 2, ""},
    {"- a\n", 1, "expected 'key: value' lines"},
    {"words\n", 1, "expected 'key: value' lines"},
    {"log_level: info\n---\nlog_level: warn\n", 2, "more than one document"},
    {"? [a]\n: b\n", 1, "a key must be a plain word"},
    {"data_dir: \"a\\0b\"\n", 1, "NUL"},
    {"data_dir: \"a\\nb\"\n", 1, "control character"},
    {"prices: x\n", 1, "expected a list"},
    {"prices:\n  - {model: a, input: 1, output: 1, date: 2026-01-01}\n", 2,
     "source is missing"},
    {"prices:\n  - {model: a, input: 1, output: 1, source: x, date: 2025-02-29}\n", 2,
     "YYYY-MM-DD"},
    {"prices:\n  - {model: a, input: -1, output: 1, source: x, date: 2026-01-01}\n", 2,
     "not within"},
    {"prices:\n  - {model: a, model: b}\n", 2, "set twice"},
    {"prices:\n  - {model: a, cost: b}\n", 2, "unknown key 'cost'"},
};

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct config *c = fresh(), *before = fresh();
        struct config_error err = {.text = ""};

        assert_int_not_equal(ST_OK, config_parse(c, span_of(refused[i].text), &err));
        if (err.line != refused[i].line || strstr(err.text, refused[i].says) == NULL)
            fail_msg("%s: line %u: %s", refused[i].text, err.line, err.text);
        assert_memory_equal(before, c, sizeof(*c)); /* all or nothing */
        free(before);
        free(c);
    }
}

static const char *const accepted[] = {
    "",
    "\n",
    "# only a comment\n",
    "---\n",
    "--- {}\n",
    "store:\n",
    "prices:\n",
    "prices: []\n",
    "listen: '[::1]:8080'\n",
    "upstream: {url: ''}\n",
    "cache: {semantic: yes}\n",
};

static void sparse_files_are_fine(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
        struct config *c = fresh();
        struct config_error err = {.text = ""};

        if (config_parse(c, span_of(accepted[i]), &err) != ST_OK)
            fail_msg("%s: line %u: %s", accepted[i], err.line, err.text);
        free(c);
    }
}

static void large_file_is_refused(void **state)
{
    size_t n = (1 << 20) + 1;
    char *text = malloc(n);
    struct config *c = fresh();
    struct config_error err = {.text = ""};

    (void)state;
    assert_non_null(text);
    memset(text, '\n', n);
    CHECK_STATUS(ST_LIMIT, config_parse(c, (struct span){text, n}, &err));
    free(text);
    free(c);
}

static const struct {
    const char *variable;
    const char *says; /* NULL: taken */
} variables[] = {
    {"IBID_LISTEN=127.0.0.1:1, unix:/tmp/s", NULL},
    {"IBID_ADMIN_LISTEN=127.0.0.1:2", NULL},
    {"IBID_DATA_DIR=/tmp", NULL},
    {"IBID_MODEL_DIR=~/models", NULL},
    {"IBID_SECRET_FILE=/run/secret", NULL},
    {"IBID_STORE_URL=redis://127.0.0.1:6379", NULL},
    {"IBID_UPSTREAM_URL=http://127.0.0.1:9/v1", NULL},
    {"IBID_CACHE_SEMANTIC=off", NULL},
    {"IBID_CACHE_THRESHOLD=0.5", NULL},
    {"IBID_LOG_LEVEL=debug", NULL},
    {"IBIDEM=1", NULL},
    {"PATH=/bin", NULL},
    {"IBID_EVAL=/data", NULL},
    {"IBID_KERNELS=ref", NULL},
    {"IBID_BIN=build/release/ibid", NULL},
    {"IBID_TEST_MODELS=/models", NULL},
    {"IBID_BINS=x", "IBID_BINS is not a setting"},
    {"IBID_SERVICE_HOST=10.0.0.1", NULL},
    {"IBID_SERVICE_PORT_HTTP=80", NULL},
    {"IBID_PORT=tcp://10.0.0.1:80", NULL},
    {"IBID_PORT_8080_TCP_ADDR=10.0.0.1", NULL},
    {"IBID_ADMIN_PORT_8081_TCP=tcp://10.0.0.1:8081", NULL},
    {"IBID_CACHE_THRESHOLD=1.5", "IBID_CACHE_THRESHOLD: '1.5' is not within 0..1"},
    {"IBID_CACHE_TRESHOLD=1", "did you mean IBID_CACHE_THRESHOLD?"},
    {"IBID_DATADIR=/tmp", "did you mean IBID_DATA_DIR?"},
    {"IBID_UPSTREAM=http://x", "IBID_UPSTREAM is not a setting"},
    {"IBID_PORTS=1", "IBID_PORTS is not a setting"},
    {"IBID_PRICES=x", "IBID_PRICES is not a setting"},
    {"IBID_LISTEN=127.0.0.1:1,", "is not HOST:PORT"},
    {"IBID_LOG_LEVEL=", "is not one of"},
};

static void environment_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        char copy[128];
        char *env[] = {copy, NULL};
        struct config *c = fresh();
        struct config_error err = {.text = ""};
        enum status st;

        snprintf(copy, sizeof(copy), "%s", variables[i].variable);
        st = config_environment(c, env, &err);
        if ((st == ST_OK) != (variables[i].says == NULL) ||
            (st != ST_OK && strstr(err.text, variables[i].says) == NULL))
            fail_msg("%s: %s", copy, err.text);
        free(c);
    }
}

/* Each option has a variable of its own, derived from its name. */
static void environment_names_differ(void **state)
{
    char a[OPTIONS_ENV_MAX], b[OPTIONS_ENV_MAX];

    (void)state;
    for (size_t i = 0; i < options_table_count; i++) {
        options_env_name(&options_table[i], a);
        for (size_t k = 0; k < i; k++) {
            options_env_name(&options_table[k], b);
            assert_string_not_equal(a, b);
        }
    }
    options_env_name(options_find(SPAN("store"), SPAN("memory_bytes_max")), a);
    assert_string_equal("IBID_STORE_MEMORY_BYTES_MAX", a);
}

static const struct {
    const char *text, *says;
} contradictions[] = {
    {"cache: {scope: header}", "cache.scope_header"},
    {"cache: {scope: shared}", "cache.scope_name"},
    {"cache: {scope_header: x-user}", "has no effect"},
    {"cache: {scope_name: all}", "has no effect"},
    {"cache: {scope: header, scope_header: 'x y'}", "is no header name"},
    {"admin: {listen: '127.0.0.1:8080'}", "is the clients' address"},
    {"admin: {listen: nowhere}", "admin.listen"},
    {"listen: []", "at least one"},
    {"store: {url: 'mysql://x'}", "store.url"},
    {"store: {url: 'redis://'}", "names no host"},
    {"store: {ca_file: /ca}", "only rediss"},
    {"cache: {index: redis}", "cache.index: redis is an index in the Redis that stores"},
    {"store: {url: 'redis://h', seal_key_file: /k}\ncache: {index: redis}",
     "take store.seal_key_file away"},
    {"store: {url: 'redis://h', cert_file: /c}", "only rediss"},
    {"store: {url: 'rediss://h', key_file: /k}", "without store.cert_file"},
    {"store: {url: 'redis://h', user: u}", "set store.password_file"},
    {"store: {sentinel: m}", "must name Sentinels"},
    {"offline: on\nstore: {url: 'redis://h', sentinel: m}", "name the server itself"},
    {"store: {password_file: /p}", "only a Redis"},
    {"store: {url: 'redis://u:p@h', password_file: /p}", "take one of them away"},
    {"store: {prefix: ''}", "store.prefix"},
    {"upstream: {url: 'ftp://x'}", "upstream.url"},
    {"upstream: {url: 'https://'}", "upstream.url"},
    {"upstream: {url: 'https://u:p@x'}", "upstream.url"},
    {"upstream: {url: 'https://x/v1?a=b'}", "upstream.url"},
    {"upstream: {url: 'http://x', ca_file: /ca}", "upstream.ca_file"},
    {"upstream: {first_byte_timeout_ms: 20, total_timeout_ms: 10}", "upstream."},
    {"local: {max_tokens: 4096}", "local.max_tokens"},
    {"data_dir: ''", "data_dir"},
    {"upstream: {proxy_url: 'https://p:1'}", "upstream.proxy_url"},
    {"upstream: {proxy_url: on}", "upstream.proxy_url"},
    {"cors: {origins: [example.com]}", "cors.origins"},
    {"cors: {origins: 'https://a https://b/'}", "cors.origins"},
};

static void contradictions_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(contradictions); i++) {
        struct config *c = fresh();
        struct config_error err = {.text = ""};

        CHECK_STATUS(ST_OK, config_parse(c, span_of(contradictions[i].text), &err));
        if (config_validate(c, &err) == ST_OK ||
            strstr(err.text, contradictions[i].says) == NULL)
            fail_msg("%s: %s", contradictions[i].text, err.text);
        free(c);
    }
}

/* What is written is read back as the same, whatever the values. */
static void written_is_readable(void **state)
{
    static const char text[] =
        "listen: [a:1, unix:/s]\ndata_dir: \"/d \\\"q\\\" \\\\ # : {}\"\n"
        "store: {url: 'redis://u:secret@h', ttl_s: 7, bytes_max: 1048577}\n"
        "cache: {threshold: 0.123456789012, semantic: shadow, scope: user}\n"
        "prices:\n  - {model: \"a b\", input: 1e-3, output: 0, source: \"é: x\", date: "
        "2026-01-01}\n"
        "upstreams:\n"
        "  - {name: one, url: 'http://x', models: [a-*, b], aliases: {f: a-1, g: b}, path: "
        "/p,\n"
        "     strip_path: yes, fallback_urls: ['http://y', 'http://z'], header: 'x-t: a b'}\n"
        "  - {name: two, url: 'https://w/v1'}\n";
    struct config *a = fresh(), *b = fresh();
    struct config_error err = {.text = ""};
    struct buf out;

    (void)state;
    buf_init(&out, TEXT_MAX);
    CHECK_STATUS(ST_OK, config_parse(a, span_of(text), &err));
    CHECK_STATUS(ST_OK, config_write(a, false, &out));
    if (config_parse(b, buf_span(&out), &err) != ST_OK)
        fail_msg("line %u: %s", err.line, err.text);
    assert_string_equal(a->data_dir, b->data_dir);
    assert_string_equal(a->store.url, b->store.url);
    assert_int_equal(a->store.bytes_max, b->store.bytes_max);
    assert_true(a->cache.threshold == b->cache.threshold);
    assert_int_equal(SEMANTIC_SHADOW, b->cache.semantic);
    assert_int_equal(2, b->listen_count);
    assert_string_equal("é: x", b->prices[0].source);
    assert_true(b->prices[0].input_usd_per_mtok == 1e-3);
    assert_int_equal(2, b->upstream_count);
    assert_string_equal("a-* b", b->upstreams[0].models);
    assert_string_equal("f=a-1 g=b", b->upstreams[0].aliases);
    assert_string_equal("http://y http://z", b->upstreams[0].fallback_urls);
    assert_string_equal("x-t: a b", b->upstreams[0].header);
    assert_string_equal("/p", b->upstreams[0].path);
    assert_true(b->upstreams[0].strip_path && !b->upstreams[1].strip_path);
    assert_string_equal("https://w/v1", b->upstreams[1].url);
    assert_string_equal("authorization", b->upstreams[1].credential_header);
    buf_release(&out);
    free(a);
    free(b);
}

static void is_masked(struct span text, const char *as)
{
    struct config *c = fresh();
    struct config_error err = {.text = ""};
    struct buf out;

    buf_init(&out, TEXT_MAX);
    CHECK_STATUS(ST_OK, config_parse(c, text, &err));
    CHECK_STATUS(ST_OK, config_write(c, true, &out));
    CHECK_STATUS(ST_OK, buf_append(&out, (struct span){"", 1}));
    assert_null(strstr(out.ptr, "hush"));
    assert_non_null(strstr(out.ptr, as));
    buf_release(&out);
    free(c);
}

static void passwords_are_masked(void **state)
{
    (void)state;
    is_masked(SPAN("store: {url: 'redis://me:hush@h:1/2'}"), "redis://me:***@h:1/2");
    is_masked(SPAN("store: {url: 'redis://:hush@h:1/2'}"), "redis://:***@h:1/2");
    /* A word alone may be a password. */
    is_masked(SPAN("store: {url: 'redis://hush@h:1/2'}"), "redis://***@h:1/2");
}

static void model_names(void **state)
{
    char name[64], path[256], why[256];

    (void)state;
    model_path_name("smollm2", name, sizeof(name));
    assert_string_equal("smollm2", name);
    model_path_name("/models/Tiny.Q4_0.gguf", name, sizeof(name));
    assert_string_equal("Tiny.Q4_0", name);
    CHECK_STATUS(ST_NOTFOUND, model_path_decoder("/nonexistent", "tiny", path, sizeof(path),
                                                 why, sizeof(why)));
    assert_non_null(strstr(why, "ibid models pull tiny"));
    CHECK_STATUS(ST_LIMIT,
                 model_path_encoder("/nonexistent", "tiny", path, 8, why, sizeof(why)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_valid),
        cmocka_unit_test(file_is_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(sparse_files_are_fine),
        cmocka_unit_test(large_file_is_refused),
        cmocka_unit_test(environment_is_read),
        cmocka_unit_test(environment_names_differ),
        cmocka_unit_test(contradictions_are_found),
        cmocka_unit_test(written_is_readable),
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(model_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
