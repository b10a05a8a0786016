/* The table of settings. A new setting is a field in config.h and a row here; it
 * then has a place in the file, a name in the environment, and its line in
 * docs/configuration.md. */
#include "config/config.h"
#include "config/options.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)
#define YEAR_S    UINT64_C(31536000)

/* The null pointer comparison makes a field of the wrong type a compile error. */
#define AT(ctype, f)                                                                           \
    .offset = offsetof(struct config, f) + 0 * sizeof(&((struct config *)0)->f == (ctype *)0)
#define CHARS(f) .offset = offsetof(struct config, f), .size = sizeof(((struct config *)0)->f)

#define UINT(n, f, d, l, h, t)                                                                 \
    {                                                                                          \
        .name = n, .type = OPTION_UINT, AT(uint64_t, f), .preset = d, .low = l, .high = h,     \
        .help = t                                                                              \
    }
#define BYTES(n, f, d, l, h, t)                                                                \
    {                                                                                          \
        .name = n, .type = OPTION_BYTES, AT(uint64_t, f), .preset = d, .low = l, .high = h,    \
        .help = t                                                                              \
    }
#define REAL(n, f, d, l, h, t)                                                                 \
    {                                                                                          \
        .name = n, .type = OPTION_REAL, AT(double, f), .preset = d, .min = l, .max = h,        \
        .help = t                                                                              \
    }
#define SWITCH(n, f, d, w, t)                                                                  \
    {                                                                                          \
        .name = n, .type = OPTION_SWITCH, AT(bool, f), .preset = d, .words = w, .help = t      \
    }
#define WORD(n, etype, f, d, w, t)                                                             \
    {                                                                                          \
        .name = n, .type = OPTION_WORD, AT(etype, f), .preset = d, .words = w, .help = t       \
    }
#define CHOICE(n, f, d, w, t)                                                                  \
    {                                                                                          \
        .name = n, .type = OPTION_CHOICE, CHARS(f), .preset = d, .words = w, .help = t         \
    }
#define TEXT(n, f, d, t)                                                                       \
    {                                                                                          \
        .name = n, .type = OPTION_TEXT, CHARS(f), .preset = d, .help = t                       \
    }
#define PATH(n, f, d, t)                                                                       \
    {                                                                                          \
        .name = n, .type = OPTION_PATH, CHARS(f), .preset = d, .help = t                       \
    }
#define WORDS(n, f, d, t)                                                                      \
    {                                                                                          \
        .name = n, .type = OPTION_WORDS, CHARS(f), .preset = d, .help = t                      \
    }
#define URL(n, f, d, t)                                                                        \
    {                                                                                          \
        .name = n, .type = OPTION_URL, CHARS(f), .preset = d, .help = t                        \
    }

static const char *const on_off[] = {"on", "off", NULL};
static const char *const show_hide[] = {"show", "hide", NULL};
static const char *const semantic[] = {"on", "off", "shadow", NULL};
static const char *const indexes[] = {"local", "redis", NULL};
static const char *const vectors[] = {"int8", "float32", NULL};
static const char *const rewrites[] = {"off", "rules", NULL};
static const char *const policies[] = {"threshold", "bounded", NULL};
static const char *const rules[] = {"off",    "count",   "replace", "local",
                                    "refuse", "default", NULL};
static const char *const actions[] = {"off", "count", "replace", "local", "refuse", NULL};
static const char *const unread[] = {"relay", "refuse", NULL};
static const char *const scopes[] = {"credential", "user",        "header",
                                     "shared",     "certificate", NULL};
static const char *const store_false[] = {"ignore", "honour", NULL};
static const char *const tool_calls[] = {"exact", "off", NULL};
static const char *const precisions[] = {"int8", "f32", NULL};
static const char *const kv_types[] = {"f32", "f16", "q8", NULL};
static const char *const guesses[] = {"auto", "off", "always", NULL};
static const char *const strangers[] = {"auto", "yes", "no", NULL};
static const char *const poolings[] = {"auto", "mean", "cls", NULL};
static const char *const priorities[] = {"idle", "low", "normal", NULL};
static const char *const texts_numbers[] = {"texts", "numbers", NULL};
static const char *const always_asked[] = {"always", "asked", NULL};
static const char *const judges[] = {"off", "local", "upstream", NULL};
static const char *const admissions[] = {"rules", "local", "upstream", NULL};
static const char *const loads[] = {"start", "demand", NULL};
static const char *const off_log_on[] = {"off", "log", "on", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

_Static_assert(SEMANTIC_SHADOW == 2 && SCOPE_CERTIFICATE == 4 && RULE_DEFAULT == 5 &&
                   SECCOMP_ON == 2,
               "the words follow the enums");
_Static_assert(sizeof(enum config_semantic) == sizeof(unsigned) &&
                   sizeof(enum config_scope) == sizeof(unsigned),
               "an OPTION_WORD is written as an unsigned");

/* clang-format off */
const struct option options_table[] = {
    {.name = "listen", .type = OPTION_LISTEN, .preset = "127.0.0.1:8080",
     .help = "where clients connect: HOST:PORT, [V6]:PORT or unix:/path, with TLS tls:HOST:PORT; one, or a list (separated by commas in the environment). Port 0 takes a free one"},
    UINT("loops", loops, "1", 0, 16, "threads that serve clients: the first works on requests, each further one reads and writes the sockets of a share of the connections. 0: as many as there are processors, or the container's limit has, at most 4"),
    PATH("data_dir", data_dir, "~/.local/share/ibid", "where the embedded store, the generated secret and the admin token live"),
    PATH("model_dir", model_dir, "~/.cache/ibid/models", "where `ibid models pull` puts models"),
    PATH("secret_file", secret_file, "", "the key that turns credentials into cache scopes, 16 bytes or more; empty: generated in data_dir. Replicas on one Redis need the same"),
    SWITCH("offline", offline, "off", on_off, "on: no connection is made to anything but the store, upstreams are refused, and the built-in model answers"),
    CHOICE("log_level", log_level, "info", levels, "what is logged"),

    WORD("security.seccomp", enum config_seccomp, security.seccomp, "on", off_log_on, "whether the kernel refuses system calls that ibid has no use for, to it and to what it starts; log: they are made, and noted in the kernel's log"),

    TEXT("admin.listen", admin.listen, "127.0.0.1:8081", "where health, metrics and the admin API are served: HOST:PORT, tls:HOST:PORT or unix:/path"),
    PATH("admin.token_file", admin.token_file, "", "the bearer token of the admin API; empty: generated as admin.token in data_dir"),
    PATH("admin.client_ca_file", admin.client_ca_file, "", "authorities of clients of the admin listener: each must then show a certificate of theirs, beside the token; empty: none is asked for"),
    PATH("admin.own_cert_file", admin.own_cert_file, "", "the certificate (PEM) that ibid's commands (health, report, tune, cache import) show to an admin listener with admin.client_ca_file; empty: none"),
    PATH("admin.own_key_file", admin.own_key_file, "", "its key, in PEM; empty: it stands in admin.own_cert_file"),

    PATH("tls.cert_file", tls.cert_file, "", "the certificate of the addresses that begin with tls:, in PEM, followed by those between it and its authority"),
    PATH("tls.key_file", tls.key_file, "", "its key, in PEM, without a passphrase; empty: it stands in tls.cert_file"),
    WORDS("tls.more_cert_files", tls.more_cert_files, "", "certificates for other names, up to 16, a list or parted by blanks: PEM files with certificate and key, or folders with tls.crt and tls.key. Who asks for a name of one of them (SNI) is shown that one, everybody else tls.cert_file"),
    PATH("tls.client_ca_file", tls.client_ca_file, "", "authorities of clients (PEM): each must then show a certificate of theirs; empty: none is asked for"),
    PATH("tls.client_crl_file", tls.client_crl_file, "", "lists of certificates of clients that their authorities have revoked (PEM, one of each authority), for both listeners; read again when it changes, as tls.cert_file is. Empty: nobody is looked up"),
    UINT("tls.handshake_timeout_ms", tls.handshake_timeout_ms, "10000", 1, HOUR_MS, "from the connection to the end of its handshake"),
    UINT("tls.handshakes_max", tls.handshakes_max, "512", 1, 100000, "handshakes at once, of one listener; connections beyond that are closed"),
    UINT("tls.reload_s", tls.reload_s, "10", 0, 86400, "seconds after which the files are looked at again, and read when they have changed: new connections get the new certificate, and what is no good is refused and the old one kept. 0: they are read at start and by a reload only"),

    URL("store.url", store.url, "lmdb:", "where answers are kept: lmdb:, lmdb:/path, redis://[user:password@]host:port[,host:port…]/db, rediss://…, redis+unix:///path, or memory:. Several hosts are some of a Redis Cluster, or Sentinels"),
    PATH("store.ca_file", store.ca_file, "", "certificate authorities for rediss://; empty: the system's"),
    PATH("store.seal_key_file", store.seal_key_file, "", "keys that stored answers are sealed with (AES-256-GCM), 64 hexadecimal digits a line: the first seals, the others still open what they have sealed; empty: answers are stored in the clear"),
    PATH("store.cert_file", store.cert_file, "", "the certificate (PEM) that is shown to a Redis that asks for one; only with rediss://"),
    PATH("store.key_file", store.key_file, "", "its key, in PEM, without a passphrase; empty: it stands in store.cert_file"),
    TEXT("store.user", store.user, "", "the user of Redis (ACL) whose password is in store.password_file; empty: default"),
    PATH("store.password_file", store.password_file, "", "the password of Redis, instead of one in store.url: read anew for each connection, so a changed one needs no restart"),
    TEXT("store.sentinel", store.sentinel, "", "the servers in store.url are Sentinels, and this is the name of the master that they know: user, password, database and TLS are for it (Sentinels get TLS, and no password)"),
    UINT("store.ttl_s", store.ttl_s, "86400", 1, YEAR_S, "seconds an answer may be reused"),
    UINT("store.entries_max", store.entries_max, "1000000", 1, 1000000000, "stored answers, beyond which the oldest go (embedded store)"),
    BYTES("store.bytes_max", store.bytes_max, "4GiB", MIB, 64 * TIB, "size of the embedded store, beyond which the oldest answers go"),
    UINT("store.memory_entries_max", store.memory_entries_max, "100000", 0, 100000000, "answers also kept in this process's memory"),
    BYTES("store.memory_bytes_max", store.memory_bytes_max, "64MiB", 0, TIB, "memory for them"),
    UINT("store.deadline_ms", store.deadline_ms, "50", 1, 10 * SECOND_MS, "milliseconds a look-up may wait for the store before the request goes on without it"),
    UINT("store.queue_max", store.queue_max, "4096", 1, 1000000, "writes that may wait; more are dropped and counted"),
    TEXT("store.prefix", store.prefix, "ibid:", "what every Redis key starts with"),

    URL("upstream.url", upstream.url, "", "the API that answers what the cache cannot: https://host[:port][/v1]; empty: the built-in model answers everything"),
    WORDS("upstream.fallback_urls", upstream.fallback_urls, "", "the same API at other places, with the same keys, a list or parted by blanks: asked in this order when no connection to those before can be made, and never when anything of the request may have been sent"),
    TEXT("upstream.name", upstream.name, "upstream", "its name in logs, metrics and cache keys"),
    PATH("upstream.ca_file", upstream.ca_file, "", "certificate authorities for it; empty: the system's"),
    UINT("upstream.connections_max", upstream.connections_max, "256", 1, 65536, "connections to it (to each place of each upstream)"),
    UINT("upstream.waiting_max", upstream.waiting_max, "1024", 0, 1000000, "requests that may wait for one of them"),
    UINT("upstream.connect_timeout_ms", upstream.connect_timeout_ms, "5000", 1, HOUR_MS, "to a connection, TLS included"),
    UINT("upstream.first_byte_timeout_ms", upstream.first_byte_timeout_ms, "600000", 1, DAY_MS, "from the request to the first byte of the answer; models may think for minutes"),
    UINT("upstream.idle_timeout_ms", upstream.idle_timeout_ms, "300000", 1, DAY_MS, "between two pieces of an answer"),
    UINT("upstream.total_timeout_ms", upstream.total_timeout_ms, "3600000", 1, DAY_MS, "for a whole answer"),
    UINT("upstream.keep_ms", upstream.keep_ms, "30000", 0, DAY_MS, "how long an idle connection is kept for the next request"),
    UINT("upstream.retry_ms", upstream.retry_ms, "5000", 1, HOUR_MS, "after a place could not be reached, requests go to the next at once, and one in this time tries it again"),
    UINT("upstream.hedge_after_ms", upstream.hedge_after_ms, "0", 0, HOUR_MS, "after so long without a head of the answer a request whose answer may be stored is sent a second time, to the next place or on another connection; the first good answer counts and the other call is cut, which the upstream may bill all the same. 0: never"),
    REAL("upstream.hedge_share", upstream.hedge_share, "0.05", 0, 1, "the share of such requests that is sent a second time at most"),
    URL("upstream.proxy_url", upstream.proxy_url, "", "the HTTP proxy that connections to https:// upstreams are made through (CONNECT): http://[user:password@]host:port, or env for HTTPS_PROXY and NO_PROXY; empty: none"),
    SWITCH("upstream.forwarded", upstream.forwarded, "off", on_off, "whether Via and X-Forwarded-For are sent; what the client sends of its own goes through either way"),
    UINT("upstream.auth_ttl_s", upstream.auth_ttl_s, "300", 0, 86400, "how long a credential that the upstream accepted may be answered from the cache; 0: every request is shown to the upstream first"),
    PATH("upstream.accept_file", upstream.accept_file, "", "credentials that always may, one a line"),
    SWITCH("upstream.trusted", upstream.trusted, "off", on_off, "on: it may see what `privacy.` finds, which is then counted only; for an upstream of your own"),
    SWITCH("upstream.gateway", upstream.gateway, "off", on_off, "on: it is a gateway with a cache of its own, and gets what clients say of that (Portkey's, Helicone's, LiteLLM's … headers and members, docs/controls.md); off: ibid does as they say, and they end here"),

    TEXT("encoder.model", encoder.model, "all-minilm-l6-v2", "the model that compares questions: a name of `ibid models list`, a path, or off"),
    CHOICE("encoder.precision", encoder.precision, "int8", precisions, "its arithmetic"),
    CHOICE("encoder.pooling", encoder.pooling, "auto", poolings, "how tokens become one vector; auto: as the model's files say, the mean where they are silent"),
    TEXT("encoder.prefix", encoder.prefix, "", "what the model wants before each question, with its space: \"query: \", \"clustering: \"; vectors with another prefix are never compared"),
    BYTES("encoder.memory_max_bytes", encoder.memory_max_bytes, "0", 0, TIB, "memory for the model, what opening it takes and one worker; one that needs more is refused. 0: what the container may have"),
    UINT("encoder.workers", encoder.workers, "0", 0, 64, "threads that run it; 0: as many as there are processors, or the container's limit has, at most 4"),
    UINT("encoder.queue_max", encoder.queue_max, "1024", 1, 100000, "questions that may wait; more go on without the semantic cache. Tenants take turns, and in a full queue who has the most there makes room"),
    UINT("encoder.batch_max", encoder.batch_max, "16", 1, 256, "questions computed together"),
    UINT("encoder.wait_max_ms", encoder.wait_max_ms, "50", 1, 60 * SECOND_MS, "while questions come faster than they are embedded, those that have waited for so many milliseconds go on without the semantic cache; in a burst they wait"),
    UINT("encoder.deadline_ms", encoder.deadline_ms, "1000", 1, 60 * SECOND_MS, "milliseconds after which a request goes on without the semantic cache"),

    TEXT("local.model", local.model, "smollm2-135m-instruct", "the built-in model: a name of `ibid models list`, a path, or off"),
    TEXT("local.chat_template", local.chat_template, "", "its family of chat template: chatml, smollm, smollm3, qwen2, qwen3, qwen3-plain, qwen3-thinking, qwq, llama2, llama3, mistral, mistral-v7, gemma, phi3, phi4, phi4-mini-reasoning, zephyr, tinyllama, bitnet, deepseek, deepseek-llm or deepseek-coder; empty: from the file"),
    TEXT("local.adapters", local.adapters, "", "LoRA adapters of it (GGUF): NAME=PATH, parted by blanks; a request whose model is NAME is answered with that one"),
    UINT("local.workers", local.workers, "1", 1, 64, "threads that write answers, each with a context of its own"),
    UINT("local.sequences", local.sequences, "8", 1, 32, "answers that a worker writes at the same time: the weights are read once for all of them"),
    UINT("local.cache_tokens", local.cache_tokens, "4096", 64, 16777216, "tokens that the answers of a worker share, what is kept of earlier prompts included; at least local.context_max. An answer waits until its question and local.max_tokens have room"),
    BYTES("local.memory_max_bytes", local.memory_max_bytes, "0", 0, TIB, "a model that needs more, the memory of a worker included, is refused; 0: what the container may have"),
    UINT("local.threads", local.threads, "1", 0, 256, "threads that work on the answers of a worker; 0: as many as there are processors, or the container's limit has, at most 8"),
    UINT("local.queue_max", local.queue_max, "64", 1, 100000, "requests that may wait; more are refused with 503 or go upstream. Tenants take turns, and in a full queue who has the most there makes room"),
    UINT("local.context_max", local.context_max, "2048", 64, 1048576, "tokens of question and answer together"),
    CHOICE("local.kv_type", local.kv_type, "q8", kv_types, "how keys and values of the context are kept: f16 takes half of the memory of f32, q8 a little more than a quarter, and long contexts are the faster for it"),
    UINT("local.max_tokens", local.max_tokens, "512", 1, 1048576, "tokens of an answer when the request names no limit, and the most it may name"),
    CHOICE("local.speculate", local.speculate, "auto", guesses, "tokens of an answer are guessed, from the answer of a near question and from what was said, and checked together; no answer changes by that. auto: where it has proved to be faster"),
    TEXT("local.guess_model", local.guess_model, "", "a smaller model of the very vocabulary of local.model, a name or a path, that guesses tokens where nothing else does; empty: none"),
    CHOICE("local.priority", local.priority, "idle", priorities, "how its threads stand behind everything else on the machine: idle ones compute only while a core has nothing else to do (SCHED_IDLE), low ones get a tenth of a share (nice 10), normal ones a whole one"),
    REAL("local.cpu_share", local.cpu_share, "1", 0.05, 1, "the part of the time that each of its threads may compute; they sleep for the rest. Under a container's CPU limit all of them get six tenths of it at most, so that it is never used up"),
    UINT("local.deadline_ms", local.deadline_ms, "120000", 100, DAY_MS, "for a whole answer, waiting included"),
    CHOICE("local.load", local.load, "start", loads, "when it is read into memory: at the start, or when the first request wants it"),
    BYTES("local.loaded_max_bytes", local.loaded_max_bytes, "0", 0, TIB, "memory for all models that are loaded, this one and those of `models`, their workers included: beyond it the least recently used one goes that no answer is being written by. 0: no limit"),
    UINT("local.load_timeout_ms", local.load_timeout_ms, "60000", 10, HOUR_MS, "for reading a model; after that no request waits for it until it is there"),

    SWITCH("cache.exact", cache.exact, "on", on_off, "reuse answers to the very same request"),
    WORD("cache.semantic", enum config_semantic, cache.semantic, "on", semantic, "reuse answers to the same question in other words; shadow: decide and count, but do not serve"),
    CHOICE("cache.rewrite", cache.rewrite, "off", rewrites, "rules: a follow-up question in a conversation is made self-contained where it is sure what it means, and then compared by meaning without the turns before it; off: these are compared exactly. English only; docs/decisions.md has its error"),
    CHOICE("cache.policy", cache.policy, "threshold", policies, "how it is decided: a fixed probability, or a share of wrong answers that is tolerable, learned from the traffic (bounded)"),
    REAL("cache.error_max", cache.error_max, "0.01", 0.0001, 0.5, "for policy: bounded: wrong answers a request that are tolerable"),
    REAL("cache.explore", cache.explore, "0.01", 0, 0.5, "for policy: bounded: the share of hits that is asked anyway, to know whether they are right; of doubtful ones more; 0: none, then nothing is learned of hits"),
    UINT("cache.policy_partitions_max", cache.policy_partitions_max, "1000", 0, 100000, "partitions of which is kept what cache.adapt has seen, or what policy: bounded has learned; beyond it the least recently used are forgotten"),
    SWITCH("cache.adapt", cache.adapt, "on", on_off, "for policy: threshold: each partition's traffic moves P(same) a little: down where questions of one frame with other names and numbers in it come often, up where they hardly do. off: all are decided alike"),
    REAL("cache.threshold", cache.threshold, "0.88", 0, 1, "the least probability that a stored answer is the right one; higher is stricter"),
    REAL("cache.floor", cache.floor, "0.6", 0, 1, "cosine similarity below which a stored question is not even looked at"),
    UINT("cache.top_k", cache.top_k, "4", 1, 8, "stored questions looked at"),
    WORD("cache.scope", enum config_scope, cache.scope, "credential", scopes, "who shares answers: callers with the same credential; and the same end user (`user` and `safety_identifier`, or the value of a header); or those whose client certificate has the same name, on addresses with TLS (certificate: its first URI, DNS name or e-mail address, else its common name; without one: the same credential); or all in a space named here (shared)"),
    TEXT("cache.scope_header", cache.scope_header, "", "the header that names the end user, for scope: header"),
    TEXT("cache.scope_name", cache.scope_name, "", "the name of the shared space, for scope: shared"),
    CHOICE("cache.strangers", cache.strangers, "auto", strangers, "whether those who share stored answers may wish each other ill: then a stored question that is most of the asked one and a few words in a row more is refused, and a tenth of the hits in other words with it. auto: with scope: shared"),
    UINT("cache.epoch", cache.epoch, "0", 0, UINT64_MAX, "another number starts with an empty cache"),
    REAL("cache.temperature_max", cache.temperature_max, "1", 0, 2, "requests above this temperature are never answered from the cache"),
    SWITCH("cache.store_false", cache.store_false_ignore, "honour", store_false, "whether store: false in a request keeps its answer out of the cache"),
    SWITCH("cache.tool_calls", cache.tool_calls_exact, "off", tool_calls, "exact: an answer that calls a tool, and one to a tool's result, is reused for the very same request; off: never, so that no agent acts on a stale one"),
    BYTES("cache.answer_max_bytes", cache.answer_max_bytes, "4MiB", KIB, GIB, "longer answers are relayed but not stored"),
    CHOICE("cache.index", cache.index, "local", indexes, "where stored questions are found by meaning: in this process, or in the Redis of store.url for all replicas together, which must be of version 8.0 or later (vector sets); docs/operations.md has what each costs"),
    CHOICE("cache.index_vectors", cache.index_vectors, "int8", vectors, "for index: redis: a byte or four of each dimension; with another one stored questions are not found by meaning until they are stored anew"),
    UINT("cache.index_entries_max", cache.index_entries_max, "200000", 1, 100000000, "for index: local: questions in it, beyond which the oldest go"),
    BYTES("cache.index_bytes_max", cache.index_bytes_max, "256MiB", MIB, 4 * TIB, "memory for them"),
    UINT("cache.refusals_max", cache.refusals_max, "10000", 1, 100000, "pairs of questions that were reported as wrong hits and never are one again; beyond it the oldest are forgotten"),
    SWITCH("cache.coalesce", cache.coalesce, "on", on_off, "a request equal to one in flight waits for that answer"),
    UINT("cache.lease_ms", cache.lease_ms, "3000", 0, 60000, "on a shared Redis: so does one that is in flight at another replica. The replica that asks holds a lease in Redis and renews it; this long after its end the others ask for themselves. 300 at least; 0: replicas do not wait for each other"),
    UINT("cache.stale_while_revalidate_s", cache.stale_while_revalidate_s, "0", 0, CONFIG_STALE_MAX_S, "how long after its end (store.ttl_s) an answer still answers the very same request while a fresh one is asked for in the background (RFC 5861)"),
    UINT("cache.stale_if_error_s", cache.stale_if_error_s, "0", 0, CONFIG_STALE_MAX_S, "how long after its end an answer takes the place of the upstream's 500, 502, 503, 504 or 529, or of no answer at all (RFC 5861)"),
    UINT("cache.refresh_max", cache.refresh_max, "8", 0, 1000, "answers asked for in the background at the same time; beyond it stale ones are given out and stay so"),
    REAL("cache.refresh_ahead", cache.refresh_ahead, "0", 0, 0.5, "the last share of an answer's life in which a second hit of the very same request has a fresh one asked for in the background, before anybody has to wait for it; within cache.refresh_max. 0: never"),
    UINT("cache.timely_ttl_s", cache.timely_ttl_s, "3600", 0, YEAR_S, "seconds that an answer holds whose question is of the moment (\"today\", \"latest\", \"currently\"; by English words), where store.ttl_s is longer; 0: it is not stored"),
    UINT("cache.regenerate_after_s", cache.regenerate_after_s, "0", 0, 3600, "the very same request within this time after it was served a stored answer means \"again, please\": it goes upstream; 0: never"),
    UINT("cache.replay_pace", cache.replay_pace, "0", 0, 1000, "events a second (about as many words) in which a stored answer is streamed, for clients that show words as they come; 0: as fast as the client takes them"),

    WORDS("route.models", route.models, "", "names of models, a list or parted by blanks, `*` stands for anything: of a request for one of them ibid chooses who answers, the built-in model or the upstream; empty: it never does, but where routes say so"),
    WORDS("route.ladder", route.ladder, "", "names of models on this machine, a list or parted by blanks, the smallest first: where ibid chooses, the first that can have the request is asked, where its answer is not given out the next, and then the upstream; empty: the built-in model alone"),
    PATH("route.classifier", route.classifier, "default", "what chooses: a file of `ibid tune router`, default (the one that ships), or off: then the upstream answers what no rule gives to the built-in model"),
    PATH("route.cascade", route.cascade, "off", "the built-in model's answer is given out only if it is likely right, else the upstream is asked; what says so: a file of `ibid tune cascade`, default (the one that ships), or off. With it and without a classifier the built-in model is always asked first"),
    REAL("route.confidence_min", route.confidence_min, "0", 0, 1, "how likely: 0 is as likely as route.quality_loss_max asks for. With route.cascade: off answers are looked at only if this is above 0, and it is the chance that their tokens had on the average"),
    UINT("route.vote", route.vote, "0", 0, 8, "samples of the built-in model where its answer is looked at: what most say is the answer, and how many say so is a sign of its being right; 0: its first answer"),
    UINT("route.hedge_ms", route.hedge_ms, "0", 0, 86400000, "after this time the upstream is asked too, and the first good answer of the two is given out; 0: only one after the other"),
    REAL("route.explore", route.explore, "0", 0, 1, "the share of answers that are good enough for which the upstream is asked anyway, to know whether they are: for route.outcomes_file"),
    PATH("route.outcomes_file", route.outcomes_file, "", "a file to which a line is added for each answer of the built-in model after which the upstream was asked: what `ibid tune cascade` learns from; empty: none"),
    BYTES("route.outcomes_bytes_max", route.outcomes_max_bytes, "64MiB", KIB, TIB, "that file grows no further than that"),
    SWITCH("route.outcomes", route.outcomes_texts, "numbers", texts_numbers, "what is in it: figures of the answers, or question and answers too (but where privacy. found something, or the client said no-store)"),
    UINT("route.examples", route.examples, "0", 0, 4, "stored questions near the one at hand, with what the upstream answered them, that are shown to the built-in model before it where ibid chose that model"),
    UINT("route.deadline_ms", route.deadline_ms, "20000", 10, 86400000, "for an answer of the built-in model where ibid chose it, waiting included; then the upstream is asked"),
    REAL("route.quality_loss_max", route.quality_loss_max, "0.02", 0, 1, "quality that may be lost on the average to asking the upstream always, as it was where the classifier was learned: 0.02 are two right answers in a hundred"),
    REAL("route.upstream_share", route.upstream_share, "-1", -1, 1, "the share of questions that is to go to the upstream, in place of route.quality_loss_max; below 0: that one decides"),
    WORD("privacy.action", enum config_rule, privacy.action, "off", actions, "what is done with personal data and secrets in a request that goes to an upstream. off: nothing is looked for; count: it is counted; replace: placeholders are sent, and the values put back into the answer; local: only the built-in model answers; refuse: 403"),
    WORD("privacy.email", enum config_rule, privacy.email, "default", rules, "e-mail addresses"),
    WORD("privacy.phone", enum config_rule, privacy.phone, "default", rules, "telephone numbers"),
    WORD("privacy.iban", enum config_rule, privacy.iban, "default", rules, "bank accounts (IBAN, by its check digits)"),
    WORD("privacy.card", enum config_rule, privacy.card, "default", rules, "payment cards (by issuer and check digit)"),
    WORD("privacy.national_id", enum config_rule, privacy.national_id, "default", rules, "numbers by which states know people, of seventeen countries (docs/privacy.md)"),
    WORD("privacy.host", enum config_rule, privacy.host, "default", rules, "addresses of machines: IPv4, IPv6, MAC, and internal host names"),
    WORD("privacy.key", enum config_rule, privacy.key, "default", rules, "keys and passwords: by known beginnings, by a name before them, and random words"),
    WORD("privacy.private_key", enum config_rule, privacy.private_key, "default", rules, "blocks of private keys (PEM, PGP)"),
    WORD("privacy.jwt", enum config_rule, privacy.jwt, "default", rules, "JSON Web Tokens"),
    WORD("privacy.name", enum config_rule, privacy.name, "off", rules, "names of people, where a title or `my name is` comes before them"),
    WORD("privacy.date", enum config_rule, privacy.date, "off", rules, "dates"),
    SWITCH("privacy.unread", privacy.relay_unread, "refuse", unread, "what is done with a request whose body ibid can not read (a path it does not know, a coded body, one over limits.body_max_bytes, a WebSocket) while a rule is replace, local or refuse"),

    WORDS("cors.origins", cors.origins, "", "origins whose pages may use ibid from a browser, a list or parted by blanks: https://app.example.com, or *; empty: what the upstream says about it is relayed"),

    SWITCH("answers.metadata", answers.metadata_always, "asked", always_asked, "whether the body of an answer that ibid writes itself (from the cache, by the built-in models) says who made it and when, under `metadata`: when the request has x-ibid-metadata, or always"),

    CHOICE("judge.grey", judge.grey, "off", judges, "who judges, in the background, whether the two questions of a decision near its threshold ask for the same: nobody, a model on this machine, or an upstream, which costs. The verdict is a label: the inbox shows it, cache.policy: bounded learns from it"),
    REAL("judge.width", judge.width, "0.1", 0, 1, "how near: the probability is at most so much above or below what it was compared with"),
    CHOICE("judge.admission", judge.admission, "rules", admissions, "who judges whether an answer that was stored is one: the rules alone, before it is, or also a model on this machine or an upstream, in the background; what is said to be none is removed"),
    SWITCH("judge.strict", judge.strict, "off", on_off, "on: what the rules take for no answer (a refusal, a text that repeats itself without end, one that names today) is not stored at all; off: for the very same request only"),
    TEXT("judge.local_model", judge.local_model, "", "the model on this machine that judges, by its name; empty: the built-in one"),
    REAL("judge.local_bias", judge.local_bias, "0", -20, 20, "added to the log-odds of its `Yes`, since small models like to say one of the two: `ibid tune judge` measures it"),
    REAL("judge.sure", judge.sure, "0.9", 0.5, 1, "how likely a verdict must be to be one"),
    TEXT("judge.model", judge.model, "", "the model that upstreams are asked for; which upstream, is chosen as for a request that names it"),
    UINT("judge.per_minute", judge.per_minute, "10", 1, 100000, "cases that upstreams are asked about in a minute; more are passed over"),
    UINT("judge.deadline_ms", judge.deadline_ms, "20000", 10, HOUR_MS, "for a verdict, waiting for the model included"),
    UINT("judge.queue_max", judge.queue_max, "64", 1, 10000, "cases that may wait; more are passed over"),

    TEXT("export.licence", export.licence, "", "under which terms the stored answers may be used to train a model: a word of SPDX, or your own; `ibid cache export --for finetune` writes it to every row and refuses to begin without"),
    {.name = "export.licences", .type = OPTION_PAIRS, CHARS(export.licences), .preset = "", .help = "likewise of single models, `{MODEL: LICENCE}`, `*` stands for anything in their names; a model whose licence is `none` is left out"},

    UINT("account.rows_max", account.rows_max, "4096", 64, 8192, "lines of the ledger: a day, a tenant, a route, a model and a source each; beyond it names of the oldest days are given up, sums never"),
    UINT("account.flush_s", account.flush_s, "10", 1, 3600, "seconds after which the ledger is written to data_dir when something was counted; a crash loses what came since"),
    REAL("account.cpu_usd_per_hour", account.cpu_usd_per_hour, "0", 0, 1000, "what an hour of one busy core costs you, in US dollars: taken off what was saved; 0: CPU time is shown and not priced"),
    REAL("account.cpu_watts", account.cpu_watts, "0", 0, 1000, "watts of one busy core, where the processor's own counters can not be read; energy is then marked as estimated. 0: not known"),
    REAL("account.carbon_g_per_kwh", account.carbon_g_per_kwh, "0", 0, 10000, "grams of CO2e of a kilowatt-hour here; 0: not known"),
    REAL("account.upstream_carbon_g_per_kwh", account.upstream_carbon_g_per_kwh, "0", 0, 10000, "and at the upstreams"),
    PATH("account.powercap_dir", account.powercap_dir, "/sys/class/powercap", "where the kernel shows the processor's energy counters (RAPL); empty: they are not asked"),

    URL("telemetry.otlp_url", telemetry.otlp_url, "", "a collector that is told of traces and metrics by OTLP over HTTP, as JSON: http://127.0.0.1:4318; empty: nobody is"),
    PATH("telemetry.ca_file", telemetry.ca_file, "", "PEM file of the authorities that an https:// collector is checked against; empty: the system's"),
    TEXT("telemetry.service_name", telemetry.service_name, "ibid", "the name there (service.name)"),
    REAL("telemetry.sample", telemetry.sample, "1", 0, 1, "share of requests that are traced, of those that come without a traceparent of their own, which else decides"),
    UINT("telemetry.metrics_s", telemetry.metrics_s, "60", 0, 86400, "seconds between two sendings of the metrics; 0: none are sent"),
    BYTES("telemetry.queue_bytes_max", telemetry.queue_bytes_max, "4MiB", 64 * KIB, GIB, "spans that wait to be sent, at most; what finds no room is dropped and counted"),
    UINT("telemetry.deadline_ms", telemetry.deadline_ms, "10000", 10, HOUR_MS, "for a sending, after which it is dropped and counted"),

    PATH("access_log.path", access_log.path, "", "a file that gets a line of JSON of each request; - is the standard output; empty: none. SIGHUP opens it anew"),
    WORDS("access_log.fields", access_log.fields, "time method path status source model duration_ms prompt_tokens completion_tokens", "what is in it, in this order, a list or parted by blanks: time, method, path (of APIs that ibid knows), status, source, dialect, model, upstream, duration_ms, prompt_tokens, completion_tokens, usd, miss_reason, whole, tenant, peer, trace_id"),
    BYTES("access_log.queue_bytes_max", access_log.queue_bytes_max, "1MiB", 16 * KIB, GIB, "lines that wait to be written, at most; what finds no room is dropped and counted"),

    PATH("audit_log.path", audit_log.path, "", "a file that gets a line of JSON of each action of the admin API that changes something or shows questions, of each request there without the token, and of signals; - is the standard output; empty: none. SIGHUP opens it anew"),
    BYTES("audit_log.queue_bytes_max", audit_log.queue_bytes_max, "1MiB", 16 * KIB, GIB, "lines that wait to be written, at most; what finds no room is dropped and counted"),

    BYTES("explain.bytes_max", explain.bytes_max, "4MiB", 0, GIB, "memory for the last decisions about near questions, to be explained and reported on; the oldest go. 0: none is kept"),
    SWITCH("explain.questions", explain.show_questions, "hide", show_hide, "whether the dashboard and the admin API (explain, inbox, entries) show questions and their words; hide: only what was found about them"),

    BYTES("limits.head_max_bytes", limits.head_max_bytes, "64KiB", KIB, 16 * MIB, "request line and headers"),
    BYTES("limits.body_max_bytes", limits.body_max_bytes, "16MiB", KIB, GIB, "a decoded body on a cached route; uploads that are passed through have no limit"),
    UINT("limits.json_depth_max", limits.json_depth_max, "64", 8, 128, "nesting of a JSON body"),
    UINT("limits.connections_max", limits.connections_max, "4096", 1, 1000000, "client connections; more are refused with 503"),
    UINT("limits.http2_streams_max", limits.http2_streams_max, "100", 0, 1000, "requests at once of one HTTP/2 connection; all of them together are no more than limits.connections_max. 0: HTTP/1.1 only"),
    UINT("limits.requests_max", limits.requests_max, "8192", 1, 1000000, "requests in flight; more are refused with 503"),
    UINT("limits.head_timeout_ms", limits.head_timeout_ms, "10000", 1, HOUR_MS, "for a request's head"),
    UINT("limits.body_timeout_ms", limits.body_timeout_ms, "30000", 1, DAY_MS, "between two pieces of a request's body"),
    UINT("limits.idle_timeout_ms", limits.idle_timeout_ms, "75000", 1, DAY_MS, "between two requests of a connection"),
    UINT("limits.write_timeout_ms", limits.write_timeout_ms, "60000", 1, DAY_MS, "for a client that does not read"),
    UINT("limits.drain_timeout_ms", limits.drain_timeout_ms, "25000", 0, HOUR_MS, "for requests in flight after SIGTERM; Kubernetes kills after 30 s"),
    UINT("limits.heap_return_s", limits.heap_return_s, "30", 0, 86400, "how often memory that was freed is given back to the system, where the C library can do that (glibc); 0: never, it stays with ibid as a reserve"),
    BYTES("limits.buffer_bytes", limits.buffer_bytes, "256KiB", 4 * KIB, 64 * MIB, "waiting bytes of one direction of one relay, beyond which the sender is made to wait"),

    {.name = "models", .type = OPTION_RECORDS, .preset = "",
     .help = "more models on this machine, up to 16, each loaded when it is wanted. What stands under `local.` and not here holds for each"},
    {.name = "upstreams", .type = OPTION_RECORDS, .preset = "",
     .help = "upstreams that requests are shared out to, up to 16"},
    {.name = "routes", .type = OPTION_RECORDS, .preset = "",
     .help = "rules by which it is chosen who answers, up to 32; the first that applies decides, before route.models and what was learned"},
    {.name = "prompts", .type = OPTION_RECORDS, .preset = "",
     .help = "profiles of local models, up to 16: what is made of a conversation for one of them; the first that names it holds"},
    {.name = "privacy_patterns", .type = OPTION_RECORDS, .preset = "",
     .help = "what else is looked for, up to 32 regular expressions (PCRE2)"},
    {.name = "prices", .type = OPTION_RECORDS, .preset = "",
     .help = "what a model costs, and where and when that was read. Without a price only tokens are counted"},
    PATH("prices_file", prices_file, "", "a file with a list `prices:` of such records, and nothing else, counted after those above; empty: none"),
};
/* clang-format on */

const size_t options_table_count = ARRAY_LEN(options_table);
