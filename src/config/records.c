#include "config/records.h"

#include "config/config.h"

#define PRICE_USD_MAX 1e6 /* a million tokens */
#define QUESTION_MAX  1000000000

#define CHARS(rec, f) .offset = offsetof(struct rec, f), .size = sizeof(((struct rec *)0)->f)
#define FIELD(n, kind, rec, f, d, t)                                                           \
    {                                                                                          \
        .name = n, .type = kind, CHARS(rec, f), .preset = d, .help = t                         \
    }
#define USD(n, f, t)                                                                           \
    {                                                                                          \
        .name = n, .type = OPTION_REAL, .offset = offsetof(struct config_price, f), .min = 0,  \
        .max = PRICE_USD_MAX, .help = t                                                        \
    }

static const char *const on_off[] = {"on", "off", NULL};
static const char *const rules[] = {"off",    "count",   "replace", "local",
                                    "refuse", "default", NULL};

/* clang-format off */
static const struct option price_fields[] = {
    FIELD("model", OPTION_TEXT, config_price, model, NULL, "exact, or a prefix that ends in `*`; the longest wins"),
    USD("input", input_usd_per_mtok, "US dollars per million prompt tokens"),
    USD("output", output_usd_per_mtok, "and per million completion tokens"),
    {.name = "cached_input", .type = OPTION_REAL, .offset = offsetof(struct config_price, cached_usd_per_mtok), .min = -1, .max = PRICE_USD_MAX, .preset = "-1",
     .help = "and per million prompt tokens that it read from its own cache; -1: as any"},
    FIELD("source", OPTION_TEXT, config_price, source, NULL, "where it was read"),
    FIELD("date", OPTION_DATE, config_price, date, NULL, "and when"),
    {.name = "request_wh", .type = OPTION_REAL, .offset = offsetof(struct config_price, request_wh), .min = 0, .max = 1e6, .preset = "0",
     .help = "watt-hours that an answer takes there; 0: not known"},
    {.name = "mtok_wh", .type = OPTION_REAL, .offset = offsetof(struct config_price, mtok_wh), .min = 0, .max = 1e9, .preset = "0",
     .help = "and, beside that, a million tokens of questions and answers"},
    FIELD("energy_source", OPTION_TEXT, config_price, energy_source, "", "where that was read; needed with either"),
};

static const struct option pattern_fields[] = {
    FIELD("name", OPTION_TEXT, config_pattern, name, NULL, "its name in errors"),
    FIELD("pattern", OPTION_TEXT, config_pattern, regex, NULL, "PCRE2, in UTF-8; what it matches is the value"),
    {.name = "action", .type = OPTION_CHOICE, CHARS(config_pattern, action), .preset = "default", .words = rules,
     .help = "as `privacy.action`; default: what that says"},
};

static const struct option upstream_fields[] = {
    FIELD("name", OPTION_TEXT, config_upstream, name, NULL, "its name in logs, metrics and cache keys"),
    FIELD("url", OPTION_URL, config_upstream, url, NULL, "as `upstream.url`"),
    FIELD("fallback_urls", OPTION_WORDS, config_upstream, fallback_urls, "", "as `upstream.fallback_urls`, or a list"),
    FIELD("ca_file", OPTION_PATH, config_upstream, ca_file, "", "as `upstream.ca_file`"),
    FIELD("path", OPTION_TEXT, config_upstream, path, "", "what the request's path begins with, whole segments: `/anthropic`"),
    {.name = "strip_path", .type = OPTION_SWITCH, .offset = offsetof(struct config_upstream, strip_path), .preset = "off", .words = on_off,
     .help = "whether that is taken off the path before anything else is made of the request"},
    FIELD("models", OPTION_WORDS, config_upstream, models, "", "names of models, a list or parted by blanks; `*` stands for anything"),
    FIELD("header", OPTION_TEXT, config_upstream, header, "", "a header that the request has, and its value: `x-team: blue`"),
    FIELD("aliases", OPTION_PAIRS, config_upstream, aliases, "", "`{NAME: MODEL}`: a request for NAME is one for MODEL"),
    FIELD("credential", OPTION_TEXT, config_upstream, credential, "", "`env:VARIABLE` or `file:PATH`: sent instead of what the client authenticates with, read at start"),
    FIELD("credential_header", OPTION_TEXT, config_upstream, credential_header, "authorization", "where it is sent; in `authorization` after `Bearer `"),
    {.name = "trusted", .type = OPTION_SWITCH, .offset = offsetof(struct config_upstream, trusted), .preset = "off", .words = on_off,
     .help = "as `upstream.trusted`"},
    {.name = "gateway", .type = OPTION_SWITCH, .offset = offsetof(struct config_upstream, gateway), .preset = "off", .words = on_off,
     .help = "as `upstream.gateway`"},
    FIELD("stale_while_revalidate_s", OPTION_TEXT, config_upstream, stale_while_revalidate_s, "", "in place of `cache.stale_while_revalidate_s`"),
    FIELD("stale_if_error_s", OPTION_TEXT, config_upstream, stale_if_error_s, "", "in place of `cache.stale_if_error_s`"),
};

static const char *const speeds[] = {"none", "completion", "interactive", "batch", NULL};
static const char *const loads[] = {"start", "demand", NULL};

static const struct option model_fields[] = {
    FIELD("name", OPTION_TEXT, config_model, name, NULL, "as clients and rules name it"),
    FIELD("model", OPTION_TEXT, config_model, model, NULL, "as `local.model`: a name of `ibid models list`, or a path"),
    {.name = "load", .type = OPTION_CHOICE, CHARS(config_model, load), .preset = "demand", .words = loads,
     .help = "when it is read into memory: at the start, or when the first request wants it"},
    FIELD("chat_template", OPTION_TEXT, config_model, chat_template, "", "as `local.chat_template`"),
    FIELD("adapters", OPTION_PAIRS, config_model, adapters, "", "as `local.adapters`: `{NAME: PATH}`"),
    {.name = "context_max", .type = OPTION_UINT, .offset = offsetof(struct config_model, context_max), .preset = "0", .high = 1048576,
     .help = "as `local.context_max`; 0: that"},
    {.name = "max_tokens", .type = OPTION_UINT, .offset = offsetof(struct config_model, max_tokens), .preset = "0", .high = 1048576,
     .help = "as `local.max_tokens`; 0: that"},
    {.name = "json", .type = OPTION_SWITCH, .offset = offsetof(struct config_model, json), .preset = "on", .words = on_off,
     .help = "whether requests for JSON are left to it where ibid chooses"},
    {.name = "tools", .type = OPTION_SWITCH, .offset = offsetof(struct config_model, tools), .preset = "off", .words = on_off,
     .help = "and those that force the call of a function"},
    {.name = "code", .type = OPTION_SWITCH, .offset = offsetof(struct config_model, code), .preset = "on", .words = on_off,
     .help = "and those with code in the question"},
    FIELD("languages", OPTION_WORDS, config_model, languages, "", "the languages it knows (`en`, `de`; a list or parted by blanks): a question that is seen to be in another one is not left to it; empty: any"),
    {.name = "confidence_min", .type = OPTION_REAL, .offset = offsetof(struct config_model, confidence_min), .min = -1, .max = 1, .preset = "-1",
     .help = "as `route.confidence_min`; below 0: that"},
};

static const struct option route_fields[] = {
    FIELD("name", OPTION_TEXT, config_route, name, NULL, "its name in answers and explanations"),
    FIELD("to", OPTION_TEXT, config_route, to, NULL, "who answers: `local` or `local:NAME`, the built-in model or that one, or one with that adapter (`local.adapters`), and nobody else, `upstream`, or `classifier`, whom the classifier says"),
    FIELD("models", OPTION_WORDS, config_route, models, "", "names of models, a list or parted by blanks; `*` stands for anything"),
    FIELD("path", OPTION_TEXT, config_route, path, "", "what the request's path begins with, whole segments: `/v1/chat`"),
    FIELD("header", OPTION_TEXT, config_route, header, "", "a header that the request has, and its value: `x-team: blue`"),
    FIELD("regex", OPTION_TEXT, config_route, regex, "", "a regular expression (PCRE2) that is found in the question: `(?i)invoice|contract`"),
    {.name = "bytes_min", .type = OPTION_UINT, .offset = offsetof(struct config_route, bytes_min), .preset = "0", .high = QUESTION_MAX,
     .help = "bytes that the question has at least, the last message of the user"},
    {.name = "bytes_max", .type = OPTION_UINT, .offset = offsetof(struct config_route, bytes_max), .preset = "0", .high = QUESTION_MAX,
     .help = "and at most; 0: any"},
    {.name = "class", .type = OPTION_CHOICE, CHARS(config_route, speed), .preset = "none", .words = speeds,
     .help = "how soon an answer of a model on this machine is wanted: `completion` ends when the same session (`x-ibid-session`, or `user`) asks again, `batch` begins when the model writes for nobody else, `interactive` does neither"},
    {.name = "deadline_ms", .type = OPTION_UINT, .offset = offsetof(struct config_route, deadline_ms), .preset = "0", .high = 86400000,
     .help = "in place of `local.deadline_ms` and `route.deadline_ms`; answers that take longer are counted by class. 0: those"},
};

static const char *const styles[] = {"plain", "tags", NULL};
static const char *const orders[] = {"as_asked", "task_first", NULL};

static const struct option prompt_fields[] = {
    FIELD("name", OPTION_TEXT, config_prompt, name, NULL, "its name in errors"),
    FIELD("models", OPTION_WORDS, config_prompt, models, "", "names of local models and adapters, a list or parted by blanks; `*` stands for anything; empty: all"),
    FIELD("routes", OPTION_WORDS, config_prompt, routes, "", "names of rules (`routes`), a list or parted by blanks; `*` stands for anything: only for requests of which one of them is the first that applies; empty: for all"),
    {.name = "style", .type = OPTION_CHOICE, CHARS(config_prompt, style), .preset = "plain", .words = styles,
     .help = "tags: what is to be done and what it is to be done with, paragraphs of the question, stand in `<task>` and `<text>`"},
    {.name = "order", .type = OPTION_CHOICE, CHARS(config_prompt, order), .preset = "as_asked", .words = orders,
     .help = "task_first: where only the last paragraph of the question asks something, it is put before the others"},
    {.name = "system_bytes_max", .type = OPTION_UINT, .offset = offsetof(struct config_prompt, system_max_bytes), .preset = "0", .high = QUESTION_MAX,
     .help = "a longer system prompt is cut, after a sentence; 0: it stays"},
    FIELD("examples_file", OPTION_PATH, config_prompt, examples_file, "", "solved examples, JSON lines of `{\"prompt\": …, \"answer\": …}`, up to 1024. What helps with texts can harm sums: see `routes`, and measure"),
    {.name = "examples", .type = OPTION_UINT, .offset = offsetof(struct config_prompt, examples), .preset = "3", .high = 4,
     .help = "how many of them are shown, those that share most words with the question"},
    {.name = "think", .type = OPTION_SWITCH, .offset = offsetof(struct config_prompt, think), .preset = "off", .words = on_off,
     .help = "the model is asked to think step by step and to write `Answer:`; what stands before that is taken off. Answers of a form (JSON, calls) are not thought about"},
};
/* clang-format on */

static const char route_note[] =
    "\n"
    "A rule applies when all of its conditions are met. What it gives to `local` nobody else\n"
    "answers: what the built-in model can not do is refused. See [routing.md](routing.md).\n"
    "\n"
    "```yaml\n"
    "route:\n"
    "  models: [auto, gpt-4o-mini]\n"
    "routes:\n"
    "  - name: secrets\n"
    "    header: 'x-data: confidential'\n"
    "    to: local\n"
    "  - name: long\n"
    "    models: auto\n"
    "    bytes_min: 4000\n"
    "    to: upstream\n"
    "```\n";

static const char model_note[] = "\n"
                                 "See [models.md](models.md#several-models).\n"
                                 "\n"
                                 "```yaml\n"
                                 "local:\n"
                                 "  model: smollm2-135m-instruct\n"
                                 "  loaded_max_bytes: 2GiB\n"
                                 "models:\n"
                                 "  - name: larger\n"
                                 "    model: /models/qwen2.5-1.5b-instruct-q4_k_m.gguf\n"
                                 "    context_max: 4096\n"
                                 "route:\n"
                                 "  models: auto\n"
                                 "  ladder: [smollm2-135m-instruct, larger]\n"
                                 "  confidence_min: 0.7\n"
                                 "```\n";

static const char prompt_note[] = "\n"
                                  "What the model is given only: what is compared, keyed and "
                                  "stored is the request as it came. "
                                  "See\n"
                                  "[routing.md](routing.md#prompts-for-small-models).\n"
                                  "\n"
                                  "```yaml\n"
                                  "prompts:\n"
                                  "  - name: small\n"
                                  "    models: smollm2-*\n"
                                  "    examples_file: /etc/ibid/examples.jsonl\n"
                                  "    system_bytes_max: 600\n"
                                  "```\n";

static const char price_note[] =
    "\n"
    "ibid has no prices built in: they change, and a figure without a source is worth "
    "nothing.\n"
    "Enter those you pay; `deploy/prices.yaml` has public list prices to check and to start "
    "from\n"
    "(`prices_file`). What stands here counts before what stands there.\n"
    "\n"
    "```yaml\n"
    "prices:\n"
    "  - model: my-model-*        # exact, or a prefix ending in *; the longest wins\n"
    "    input: 0.50              # US dollars per million prompt tokens\n"
    "    output: 1.50             # and per million completion tokens\n"
    "    cached_input: 0.05       # and per million prompt tokens that it had cached\n"
    "    source: https://example.com/pricing\n"
    "    date: 2026-01-31         # when it was read there\n"
    "```\n";

static const char upstream_note[] =
    "\n"
    "A request goes to the first upstream all of whose conditions (`path`, `models`, "
    "`header`)\n"
    "it meets; `upstream.url` is one without conditions at the end of the list, and what "
    "stands\n"
    "under `upstream.` besides url, name and ca_file holds for each. A model that none takes "
    "is\n"
    "an error 404. A path that ibid does not know is relayed, and names no model that ibid "
    "reads:\n"
    "the conditions on models are passed over for it. No two upstreams share an answer.\n"
    "\n"
    "An upstream with a `credential` answers whoever reaches ibid: who may is then the\n"
    "listener's and the network's matter. Answers are still kept apart by what clients\n"
    "authenticate with.\n"
    "\n"
    "```yaml\n"
    "upstreams:\n"
    "  - name: anthropic\n"
    "    url: https://api.anthropic.com\n"
    "    models: [claude-*]\n"
    "    aliases: {smart: claude-opus-4-1}\n"
    "    credential: env:ANTHROPIC_API_KEY\n"
    "    credential_header: x-api-key\n"
    "  - name: ours               # http://ibid/ours/v1/chat/completions\n"
    "    url: http://10.0.0.5:8000\n"
    "    fallback_urls: [http://10.0.0.6:8000]\n"
    "    path: /ours\n"
    "    strip_path: on\n"
    "```\n";

static const char pattern_note[] = "\n"
                                   "```yaml\n"
                                   "privacy_patterns:\n"
                                   "  - name: customer number\n"
                                   "    pattern: '\\bCN-\\d{6}\\b'\n"
                                   "    action: replace\n"
                                   "```\n";

#define ROWS(x) .fields = x, .field_count = ARRAY_LEN(x)
#define PLACE(list, count)                                                                     \
    .offset = offsetof(struct config, list), .count_offset = offsetof(struct config, count),   \
    .size = sizeof(((struct config *)0)->list[0]),                                             \
    .max = ARRAY_LEN(((struct config *)0)->list)

static const struct records all[] = {
    {.name = "models", ROWS(model_fields), PLACE(models, model_count), .note = model_note},
    {.name = "upstreams",
     ROWS(upstream_fields),
     PLACE(upstreams, upstream_count),
     .note = upstream_note},
    {.name = "routes", ROWS(route_fields), PLACE(routes, route_count), .note = route_note},
    {.name = "prompts", ROWS(prompt_fields), PLACE(prompts, prompt_count), .note = prompt_note},
    {.name = "privacy_patterns",
     ROWS(pattern_fields),
     PLACE(patterns, pattern_count),
     .note = pattern_note},
    {.name = "prices", ROWS(price_fields), PLACE(prices, price_count), .note = price_note},
};

const struct records *records_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (span_eq(span_of(all[i].name), name))
            return &all[i];
    }
    return NULL;
}

const struct option *records_field(const struct records *list, struct span name)
{
    for (size_t i = 0; i < list->field_count; i++) {
        if (span_eq(span_of(list->fields[i].name), name))
            return &list->fields[i];
    }
    return NULL;
}

size_t *records_count(const struct records *list, struct config *c)
{
    return (size_t *)(void *)((char *)c + list->count_offset);
}

struct option records_at(const struct records *list, const struct option *field, size_t i)
{
    struct option o = *field;

    o.offset += list->offset + i * list->size;
    return o;
}
