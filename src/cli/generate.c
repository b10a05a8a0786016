/* `ibid generate`: the built-in model alone, from a shell. */
#include <signal.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "proxy/decoder_settings.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/engine.h"

#define TURNS_MAX        2
#define SCHEMA_BYTES_MAX (256 * 1024)

static const char usage[] =
    "usage: ibid generate -p PROMPT [-m MODEL] [-c FILE]\n"
    "  Prints the answer as it comes, and its figures on stderr.\n"
    "  -p, --prompt TEXT      the question\n"
    "  -s, --system TEXT      what stands before it\n"
    "  -m, --model MODEL      a name or a path (local.model)\n"
    "  --adapter FILE         a LoRA adapter of it (GGUF)\n"
    "  --schema FILE          a JSON Schema that the answer is valid of\n"
    "  -n, --max-tokens N     (local.max_tokens)\n"
    "  -t, --temperature T    0 (default): always the likeliest token\n"
    "  --seed N               of a temperature above 0\n"
    "  --threads N            (local.threads)\n"
    "  -q, --quiet            no figures\n"
    "  -c, --config FILE      settings\n";

struct job {
    struct config *config;
    const char *prompt, *system, *model, *adapter, *schema;
    const char *max_text, *temperature_text, *seed_text, *threads_text;
    struct decoder_params params;
    uint64_t threads;
    bool quiet;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum)
{
    (void)signum;
    interrupted = 1;
}

static bool should_stop(void *arg)
{
    (void)arg;
    return interrupted != 0;
}

static void print_text(void *arg, struct span text)
{
    (void)arg;
    fwrite(text.ptr, 1, text.len, stdout);
    fflush(stdout);
}

static void print_figures(const struct decoder_result *r)
{
    static const char *const why[] = {"stop", "length", "canceled"};
    double prompt_s = (double)r->prompt_us / 1e6, decode_s = (double)r->decode_us / 1e6;

    fprintf(stderr,
            "finish: %s, prompt: %u tokens in %.2f s (%.0f/s), answer: %u in %.2f s (%.0f/s)\n",
            why[r->finish], r->prompt_tokens, prompt_s,
            prompt_s > 0 ? r->prompt_tokens / prompt_s : 0, r->completion_tokens, decode_s,
            decode_s > 0 ? r->completion_tokens / decode_s : 0);
    if (r->confidence.tokens > 0)
        fprintf(stderr, "sure: %.3f a token, %.3f at the least\n",
                exp(r->confidence.log_p / r->confidence.tokens),
                exp(r->confidence.least_log_p));
}

static int chat(const struct job *j, struct decoder_session *s,
                const struct decoder_adapter *adapter, const struct decoder_schema *schema)
{
    struct decoder_turn turns[TURNS_MAX];
    struct decoder_request q = {.turns = turns,
                                .params = j->params,
                                .confidence = true,
                                .adapter = adapter,
                                .schema = schema,
                                .on_text = print_text,
                                .stop = {should_stop, NULL}};
    struct decoder_result result;
    enum status st;

    if (j->system != NULL)
        turns[q.turn_count++] = (struct decoder_turn){SPAN("system"), span_of(j->system)};
    turns[q.turn_count++] = (struct decoder_turn){SPAN("user"), span_of(j->prompt)};
    st = decoder_chat(s, &q, &result);
    if (st != ST_OK && st != ST_CANCELED) {
        fprintf(stderr, "ibid: %s\n",
                st == ST_LIMIT ? "the question does not fit the context" : status_text(st));
        return 1;
    }
    printf("\n");
    if (st == ST_OK && !j->quiet)
        print_figures(&result);
    return st == ST_OK ? 0 : 1;
}

/* The schema of a file; none if there is no file. */
static enum status read_schema(const char *path, struct decoder_schema **out,
                               struct engine_error *err)
{
    static char text[SCHEMA_BYTES_MAX + 1];
    struct arena arena;
    struct json *json;
    struct json_error why;
    enum status st = ST_OK;
    size_t n = 0;
    FILE *f;

    *out = NULL;
    if (path == NULL)
        return ST_OK;
    f = fopen(path, "rb");
    if (f != NULL) {
        n = fread(text, 1, sizeof(text), f);
        fclose(f);
    }
    if (f == NULL || n == sizeof(text)) {
        (void)snprintf(err->text, sizeof(err->text), "'%s': %s", path,
                       f == NULL ? "can not be read" : "is larger than 256 KiB");
        return ST_INVALID;
    }
    arena_init(&arena, 64 * 1024, 16 * 1024 * 1024);
    st = json_parse(&arena, (struct span){text, n}, JSON_DEPTH_MAX, &json, &why);
    if (st != ST_OK)
        (void)snprintf(err->text, sizeof(err->text), "'%s': byte %zu: %s", path, why.offset,
                       why.text);
    else
        st = decoder_schema_open(json, out, err);
    arena_release(&arena);
    return st;
}

static int open_and_chat(const struct job *j)
{
    const struct config *c = j->config;
    struct decoder_options o = decoder_settings(c);
    const char *model = j->model != NULL ? j->model : c->local.model;
    struct engine_error err = {.text = ""};
    struct decoder_adapter *adapter = NULL;
    struct decoder_schema *schema = NULL;
    struct decoder_session *s;
    char path[CONFIG_TEXT_MAX];
    struct decoder *d;
    int rc = 1;

    o.sequences = 1;
    o.cache_tokens = 0;
    if (model_path_decoder(c->model_dir, model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        decoder_open(path, &o, &d, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    if (j->adapter != NULL && decoder_adapter_open(d, j->adapter, &adapter, &err) != ST_OK) {
        fprintf(stderr, "ibid: '%s': %s\n", j->adapter, err.text);
    } else if (read_schema(j->schema, &schema, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
    } else if (decoder_session_open(d, (unsigned)j->threads, &s) == ST_OK) {
        rc = chat(j, s, adapter, schema);
        decoder_session_close(s);
    } else {
        fprintf(stderr, "ibid: out of memory\n");
    }
    decoder_schema_close(schema);
    if (adapter != NULL)
        decoder_adapter_close(adapter);
    decoder_close(d);
    return rc;
}

static bool parse_temperature(const char *text, float *out)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end != '\0' || !(v >= 0 && v <= 2))
        return false;
    *out = (float)v;
    return true;
}

/* Numbers of the command line over those of the settings. */
static bool set_params(struct job *j)
{
    uint64_t max = j->config->local.max_tokens, seed = 0;

    j->threads = j->config->local.threads;
    if ((j->max_text != NULL && !args_number(j->max_text, 1, UINT32_MAX, &max)) ||
        (j->seed_text != NULL && !args_number(j->seed_text, 0, UINT64_MAX, &seed)) ||
        (j->threads_text != NULL && !args_number(j->threads_text, 1, 256, &j->threads)) ||
        (j->temperature_text != NULL &&
         !parse_temperature(j->temperature_text, &j->params.temperature)))
        return false;
    j->params.max_tokens = (uint32_t)max;
    j->params.seed = seed;
    j->params.top_p = 1;
    return true;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL;
    struct args a;
    int rc;

    args_init(&a, "generate", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, "-q", "--quiet"))
            j->quiet = true;
        else if (!args_value(&a, "-c", "--config", &file) &&
                 !args_value(&a, "-p", "--prompt", &j->prompt) &&
                 !args_value(&a, "-s", "--system", &j->system) &&
                 !args_value(&a, "-m", "--model", &j->model) &&
                 !args_value(&a, NULL, "--adapter", &j->adapter) &&
                 !args_value(&a, NULL, "--schema", &j->schema) &&
                 !args_value(&a, "-n", "--max-tokens", &j->max_text) &&
                 !args_value(&a, "-t", "--temperature", &j->temperature_text) &&
                 !args_value(&a, NULL, "--seed", &j->seed_text) &&
                 !args_value(&a, NULL, "--threads", &j->threads_text))
            return args_refuse(&a);
    }
    if (j->prompt == NULL)
        return args_refuse(&a);
    rc = config_load_file(file, j->config);
    if (rc >= 0)
        return rc;
    return set_params(j) ? -1 : args_refuse(&a);
}

int generate_main(int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    struct job j = {.config = calloc(1, sizeof(*j.config))};
    int rc = 1;

    if (j.config != NULL)
        rc = parse(&j, argc, argv);
    if (rc < 0) {
        (void)sigaction(SIGINT, &action, NULL);
        rc = open_and_chat(&j);
    }
    free(j.config);
    return rc;
}
