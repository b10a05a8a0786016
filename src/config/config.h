/* All settings, plain data, immutable once loaded. Units are in the names.
 *
 * One table in config.c drives parsing, defaults, bounds, environment names,
 * `ibid check` and docs/configuration.md. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define CONFIG_TEXT_MAX      1024
#define CONFIG_LISTEN_MAX    8
#define CONFIG_PRICES_MAX    256
#define CONFIG_UPSTREAMS_MAX 16
#define CONFIG_ROUTES_MAX    32
#define CONFIG_MODELS_MAX    16
/* What an entry can say of itself (stale_min). */
#define CONFIG_STALE_MAX_S  (30 * 86400)
#define CONFIG_LEASE_MIN_MS 300
/* Places of one upstream, the first included. */
#define CONFIG_PLACES_MAX 8

enum config_semantic { SEMANTIC_ON, SEMANTIC_OFF, SEMANTIC_SHADOW };
/* What is done with what was found: RULE_DEFAULT is what privacy.action says. */
enum config_rule {
    RULE_OFF,
    RULE_COUNT,
    RULE_REPLACE,
    RULE_LOCAL,
    RULE_REFUSE,
    RULE_DEFAULT,
};
enum config_seccomp { SECCOMP_OFF, SECCOMP_LOG, SECCOMP_ON };
enum config_scope {
    SCOPE_CREDENTIAL,
    SCOPE_USER,
    SCOPE_HEADER,
    SCOPE_SHARED,
    SCOPE_CERTIFICATE
};

struct config_price {
    char model[128]; /* exact name, or a prefix ending in '*' */
    double input_usd_per_mtok, output_usd_per_mtok;
    double cached_usd_per_mtok; /* of prompt tokens from its own cache; below 0: as any */
    char source[256];           /* where the price was read */
    char date[16];              /* YYYY-MM-DD */
    /* Watt-hours of an answer, and of a million of its tokens beside; 0: not known. */
    double request_wh, mtok_wh;
    char energy_source[256];
};

#define CONFIG_PATTERNS_MAX 32

struct config_pattern {
    char name[64];
    char regex[512];
    char action[16]; /* a word of config_rule, or "default" */
};

/* Lists are parted by blanks, as config_word() takes them apart. */
struct config_upstream {
    char name[64];
    char url[CONFIG_TEXT_MAX];
    char fallback_urls[CONFIG_TEXT_MAX];
    char ca_file[CONFIG_TEXT_MAX];
    char path[128];
    bool strip_path;
    char models[CONFIG_TEXT_MAX];  /* patterns */
    char header[256];              /* "NAME: VALUE" */
    char aliases[CONFIG_TEXT_MAX]; /* NAME=MODEL … */
    char credential[CONFIG_TEXT_MAX];
    char credential_header[64];
    bool trusted, gateway;
    /* Seconds as text; empty: as under cache. */
    char stale_while_revalidate_s[16], stale_if_error_s[16];
};

/* A rule by which a tier is chosen; lists as above. */
struct config_route {
    char name[64];
    char models[CONFIG_TEXT_MAX]; /* patterns */
    char path[128];
    char header[256];              /* "NAME: VALUE" */
    char regex[CONFIG_TEXT_MAX];   /* PCRE2, of the question */
    uint64_t bytes_min, bytes_max; /* of the question; bytes_max 0: any */
    char to[160];                  /* local | local:NAME | upstream | classifier */
    char speed[16];                /* none | completion | interactive | batch */
    uint64_t deadline_ms;          /* 0: as others */
};

/* A model on this machine beside local.model; config_models.h gives both alike. */
struct config_model {
    char name[128];
    char model[CONFIG_TEXT_MAX]; /* name in the manifest, or a path */
    char chat_template[32];
    char adapters[CONFIG_TEXT_MAX];   /* NAME=PATH … */
    uint64_t context_max, max_tokens; /* 0: as under local */
    bool json, tools, code;           /* what is left to it */
    char languages[256];              /* "en de"; empty: any */
    double confidence_min;            /* below 0: as under route */
    char load[8];                     /* start | demand */
};

#define CONFIG_PROMPTS_MAX 16

/* What is made of a conversation for a local model. */
struct config_prompt {
    char name[64];
    char models[CONFIG_TEXT_MAX]; /* patterns; empty: any */
    char routes[CONFIG_TEXT_MAX]; /* likewise, of rules; empty: any, and none */
    char style[8];                /* plain | tags */
    char order[16];               /* as_asked | task_first */
    uint64_t system_max_bytes;    /* 0: whole */
    char examples_file[CONFIG_TEXT_MAX];
    uint64_t examples; /* of that file */
    bool think;
};

struct config {
    char listen[CONFIG_LISTEN_MAX][256]; /* "HOST:PORT", "tls:HOST:PORT", "unix:/path" */
    size_t listen_count;
    uint64_t loops; /* threads; 0: by the quota, until that is applied */

    struct {
        char listen[256];
        char token_file[CONFIG_TEXT_MAX]; /* empty: generated in data_dir */
        char client_ca_file[CONFIG_TEXT_MAX];
        /* What commands show to an admin listener that asks; empty: nothing, in the other. */
        char own_cert_file[CONFIG_TEXT_MAX], own_key_file[CONFIG_TEXT_MAX];
    } admin;

    struct {
        char cert_file[CONFIG_TEXT_MAX], key_file[CONFIG_TEXT_MAX];
        char more_cert_files[2048];            /* for other names, parted by blanks */
        char client_ca_file[CONFIG_TEXT_MAX];  /* empty: no certificate is asked of clients */
        char client_crl_file[CONFIG_TEXT_MAX]; /* empty: none is looked up */
        uint64_t handshake_timeout_ms, handshakes_max;
        uint64_t reload_s; /* 0: the files are read at start only */
    } tls;                 /* of the addresses that begin with "tls:" */

    bool offline; /* no connection to anything but the store */

    struct {
        enum config_seccomp seccomp;
    } security;

    char data_dir[CONFIG_TEXT_MAX]; /* "~" expanded */
    char model_dir[CONFIG_TEXT_MAX];
    char secret_file[CONFIG_TEXT_MAX]; /* empty: generated in data_dir */

    struct {
        char url[CONFIG_TEXT_MAX];
        char ca_file[CONFIG_TEXT_MAX];
        char seal_key_file[CONFIG_TEXT_MAX]; /* empty: nothing is sealed */
        uint64_t ttl_s;
        uint64_t entries_max, bytes_max;
        char cert_file[CONFIG_TEXT_MAX], key_file[CONFIG_TEXT_MAX];
        char user[128], sentinel[128];
        char password_file[CONFIG_TEXT_MAX];
        uint64_t memory_entries_max, memory_bytes_max;
        uint64_t deadline_ms;
        uint64_t queue_max;
        char prefix[64];
    } store;

    struct {
        char url[CONFIG_TEXT_MAX]; /* empty: none */
        char fallback_urls[CONFIG_TEXT_MAX];
        char name[64];
        char ca_file[CONFIG_TEXT_MAX];
        uint64_t connections_max, waiting_max;
        uint64_t connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms, total_timeout_ms;
        uint64_t keep_ms, retry_ms;
        uint64_t hedge_after_ms;           /* 0: never */
        double hedge_share;                /* of the requests that could be */
        char proxy_url[CONFIG_TEXT_MAX];   /* "env": of the environment; empty: none */
        bool forwarded;                    /* Via and X-Forwarded-For are sent */
        uint64_t auth_ttl_s;               /* how long an accepted credential counts */
        char accept_file[CONFIG_TEXT_MAX]; /* credentials that always count, one a line */
        bool trusted;
        bool gateway; /* what clients of gateways say of caching is passed on */
    } upstream;

    struct {
        char model[CONFIG_TEXT_MAX]; /* name in the manifest, or a path; empty or "off": none */
        char precision[8];           /* int8 | f32 */
        char pooling[8];             /* auto | mean | cls */
        char prefix[128];            /* before each question */
        uint64_t memory_max_bytes;   /* 0: no limit */
        uint64_t workers, queue_max, batch_max;
        uint64_t wait_max_ms; /* while the queue stands */
        uint64_t deadline_ms; /* longer than this: the cache is bypassed */
    } encoder;

    struct {
        char model[CONFIG_TEXT_MAX];
        char chat_template[32];
        char adapters[CONFIG_TEXT_MAX]; /* NAME=PATH … */
        char kv_type[8];                /* f32 | f16 | q8 */
        uint64_t workers, threads, queue_max;
        uint64_t sequences, cache_tokens; /* of a worker */
        uint64_t memory_max_bytes;        /* 0: no limit */
        uint64_t context_max, max_tokens;
        char speculate[8]; /* auto | off | always */
        char guess_model[CONFIG_TEXT_MAX];
        char priority[8]; /* idle | low | normal */
        double cpu_share;
        uint64_t deadline_ms;
        char load[8];              /* start | demand */
        uint64_t loaded_max_bytes; /* of all models; 0: no limit */
        uint64_t load_timeout_ms;
    } local;

    struct {
        bool exact;
        enum config_semantic semantic;
        char rewrite[8]; /* off | rules */
        char policy[16]; /* threshold | bounded */
        double threshold, floor;
        uint64_t top_k;
        enum config_scope scope;
        char scope_header[64]; /* SCOPE_HEADER */
        char scope_name[64];   /* SCOPE_SHARED */
        char strangers[8];     /* auto | yes | no */
        uint64_t epoch;
        double temperature_max;
        bool store_false_ignore; /* store_false: ignore */
        bool tool_calls_exact;   /* tool_calls: exact */
        uint64_t answer_max_bytes;
        char index[8];         /* local | redis */
        char index_vectors[8]; /* int8 | float32 */
        uint64_t index_entries_max, index_bytes_max;
        uint64_t refusals_max; /* pairs that were reported as wrong */
        double error_max;      /* of `bounded`: wrong answers a request */
        double explore;        /* of `bounded`: share of hits that are asked anyway */
        uint64_t policy_partitions_max;
        bool adapt;
        bool coalesce;     /* join an identical request in flight */
        uint64_t lease_ms; /* … at another replica; 0: not */
        uint64_t stale_while_revalidate_s, stale_if_error_s;
        uint64_t refresh_max; /* in the background at the same time */
        double refresh_ahead; /* share of a life, at its end; 0: none */
        uint64_t regenerate_after_s;
        uint64_t timely_ttl_s; /* 0: such answers are not stored */
        uint64_t replay_pace;  /* events a second; 0: at once */
    } cache;

    struct {
        char models[CONFIG_TEXT_MAX];     /* patterns; empty: none */
        char ladder[CONFIG_TEXT_MAX];     /* models, smallest first; empty: the built-in one */
        char classifier[CONFIG_TEXT_MAX]; /* a file, "default" or "off" */
        double confidence_min;            /* 0: any, or by quality_loss_max */
        char cascade[CONFIG_TEXT_MAX];    /* a file, "default" or "off" */
        uint64_t vote;                    /* samples, up to VOTE_MAX; 0, 1: no vote */
        uint64_t hedge_ms;                /* 0: none */
        double explore;                   /* share of good answers that are checked anyway */
        char outcomes_file[CONFIG_TEXT_MAX]; /* empty: none */
        uint64_t outcomes_max_bytes;
        bool outcomes_texts; /* outcomes: texts */
        uint64_t examples;   /* up to EXAMPLES_MAX */
        uint64_t deadline_ms;
        double quality_loss_max;
        double upstream_share; /* below 0: quality_loss_max decides */
    } route;

    struct {
        enum config_rule action;
        enum config_rule email, phone, iban, card, national_id, host, key, private_key, jwt;
        enum config_rule name, date;
        bool relay_unread; /* unread: relay */
    } privacy;

    struct config_pattern patterns[CONFIG_PATTERNS_MAX]; /* privacy_patterns */
    size_t pattern_count;

    struct {
        char origins[CONFIG_TEXT_MAX]; /* parted by blanks; empty: none of our business */
    } cors;

    struct {
        bool metadata_always; /* metadata: always */
    } answers;

    struct {
        char grey[12];      /* off | local | upstream */
        double width;       /* of what is grey, on either side of the threshold */
        char admission[12]; /* rules | local | upstream */
        bool strict;
        char local_model[128]; /* empty: the first */
        double local_bias, sure;
        char model[CONFIG_TEXT_MAX]; /* upstream */
        uint64_t per_minute, deadline_ms, queue_max;
    } judge;

    struct {
        char licence[256];              /* empty: not said */
        char licences[CONFIG_TEXT_MAX]; /* MODEL=LICENCE … */
    } export;

    struct {
        uint64_t bytes_max; /* of the decisions kept; 0: none */
        bool show_questions;
    } explain;

    struct {
        uint64_t head_max_bytes, body_max_bytes, json_depth_max;
        uint64_t connections_max;
        uint64_t http2_streams_max;
        uint64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
        uint64_t drain_timeout_ms;
        uint64_t requests_max;  /* in flight */
        uint64_t heap_return_s; /* 0: never */
        uint64_t buffer_bytes;  /* high-water mark of one direction of one relay */
    } limits;

    struct config_upstream upstreams[CONFIG_UPSTREAMS_MAX]; /* before upstream.url */
    size_t upstream_count;

    struct config_route routes[CONFIG_ROUTES_MAX]; /* in the order of asking */
    size_t route_count;

    struct config_model models[CONFIG_MODELS_MAX]; /* beside local.model */
    size_t model_count;

    struct config_prompt prompts[CONFIG_PROMPTS_MAX]; /* in the order of asking */
    size_t prompt_count;

    struct config_price prices[CONFIG_PRICES_MAX];
    size_t price_count;
    char prices_file[CONFIG_TEXT_MAX]; /* more of them; empty: none */

    struct {
        uint64_t rows_max, flush_s;
        double cpu_usd_per_hour, cpu_watts; /* of a core; 0: not said */
        double carbon_g_per_kwh, upstream_carbon_g_per_kwh;
        char powercap_dir[CONFIG_TEXT_MAX];
    } account;

    struct {
        char otlp_url[CONFIG_TEXT_MAX]; /* empty: nobody is told */
        char ca_file[CONFIG_TEXT_MAX];
        char service_name[64];
        double sample;      /* share of requests that are traced */
        uint64_t metrics_s; /* 0: none */
        uint64_t queue_bytes_max, deadline_ms;
    } telemetry;

    struct {
        char path[CONFIG_TEXT_MAX]; /* "-": standard output; empty: none */
        char fields[512];           /* words of access_fields.h */
        uint64_t queue_bytes_max;
    } access_log;

    struct {
        char path[CONFIG_TEXT_MAX]; /* "-": standard output; empty: none */
        uint64_t queue_bytes_max;
    } audit_log;

    char log_level[8]; /* error | warn | info | debug */
};

/* Where and why a setting was refused. */
struct config_error {
    unsigned line; /* 1-based; 0: not from a file */
    char text[256];
};

/* The defaults; then, in this order, the file, then the environment. */
void config_defaults(struct config *c);
/* YAML text. All or nothing: on failure *c is unchanged and *err says line, key and
 * the way out. */
enum status config_parse(struct config *c, struct span text,
                         struct config_error *err) MUST_CHECK;
/* IBID_* variables of `env` ("NAME=value" strings, NULL-terminated). An unknown
 * IBID_ name is refused (a typo must not pass silently), except the few that are
 * not settings (IBID_EVAL, IBID_KERNELS, …). */
enum status config_environment(struct config *c, char *const *env,
                               struct config_error *err) MUST_CHECK;
/* What only makes sense together: checked after all sources. */
enum status config_validate(const struct config *c, struct config_error *err) MUST_CHECK;

/* The effective configuration as YAML that config_parse() takes. Passwords in URLs
 * are masked when `mask`. */
enum status config_write(const struct config *c, bool mask, struct buf *out) MUST_CHECK;
/* docs/configuration.md: every key, type, bounds, default, environment name, help. */
enum status config_write_reference(struct buf *out) MUST_CHECK;

/* The list `prices:` of another file (prices_file), which may hold nothing else. A model that
 * has a price already keeps it. */
enum status config_add_prices(struct config *c, struct span text,
                              struct config_error *err) MUST_CHECK;

/* Takes the next word off the front of *list; empty: there is none. */
struct span config_word(struct span *list);

/* The rule that one of a class, or of a pattern (its action), comes to. */
enum config_rule config_rule_of(const struct config *c, enum config_rule own);
enum config_rule config_pattern_rule(const struct config *c, const struct config_pattern *p);

/* May those who share stored answers wish each other ill? (cache.strangers) */
bool config_has_strangers(const struct config *c);

/* Does one of the clients' addresses speak TLS? */
bool config_listens_tls(const struct config *c);

/* Price of a model; exact name first, then the longest prefix. NULL: unknown. */
const struct config_price *config_price_find(const struct config *c, struct span model);

#endif
