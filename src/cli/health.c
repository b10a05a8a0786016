/* `ibid health`: whether a running ibid answers, for probes that run a command. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/fetch.h"
#include "config/config.h"

#define BODY_MAX_BYTES   (64 * 1024)
#define ARENA_MAX_BYTES  (1024 * 1024)
#define DEPTH_MAX        4
#define DEADLINE_DEFAULT 1000

static const char usage[] =
    "usage: ibid health [--live|--strict] [--quiet] [--admin ADDRESS] [--timeout-ms N]\n"
    "                   [-c FILE]\n"
    "  Asks a running ibid how it is; 0 when it takes requests, also without one of its\n"
    "  parts, 1 when it is draining or does not answer.\n"
    "  --live             only whether it answers at all, draining included\n"
    "  --strict           1 when a part is missing, too\n"
    "  -q, --quiet        the exit status alone\n"
    "  --admin ADDRESS    of its admin listener (admin.listen)\n"
    "  --timeout-ms N     how long to wait (1000)\n"
    "  -c, --config FILE  the settings of that ibid (admin.listen)\n";

struct job {
    struct config *config;
    const char *address;
    uint64_t deadline_ms;
    bool live, strict, quiet;
};

static void say_parts(const struct json *root)
{
    const struct json *parts = json_get(root, SPAN("parts"));

    for (const struct json *p = parts != NULL ? parts->child : NULL; p != NULL; p = p->next) {
        if (p->type == JSON_STRING)
            printf("  %.*s: %.*s\n", (int)p->key.len, p->key.ptr, (int)p->text.len,
                   p->text.ptr);
    }
}

/* The body of /readyz. */
static int judge(const struct job *j, struct span body)
{
    struct json_error err = {.text = ""};
    const struct json *status;
    struct arena arena;
    struct json *root;
    int rc = 1;

    arena_init(&arena, BODY_MAX_BYTES, ARENA_MAX_BYTES);
    if (json_parse(&arena, body, DEPTH_MAX, &root, &err) != ST_OK ||
        (status = json_get(root, SPAN("status"))) == NULL || status->type != JSON_STRING) {
        fprintf(stderr, "ibid: this is not the answer of an ibid\n");
    } else {
        rc = j->strict && !span_eq(status->text, SPAN("ready"));
        if (!j->quiet) {
            printf("%.*s\n", (int)status->text.len, status->text.ptr);
            say_parts(root);
        }
    }
    arena_release(&arena);
    return rc;
}

static int ask(const struct job *j)
{
    struct fetch f = {.address = j->address != NULL ? j->address : j->config->admin.listen,
                      .cert_file = j->config->tls.cert_file,
                      .own_cert_file = j->config->admin.own_cert_file,
                      .own_key_file = j->config->admin.own_key_file,
                      .path = j->live ? "/healthz" : "/readyz",
                      .deadline_ms = (unsigned)j->deadline_ms};
    char why[512] = "";
    struct buf body;
    int rc = 0;

    buf_init(&body, BODY_MAX_BYTES);
    if (fetch_body(&f, &body, why, sizeof(why)) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", why);
        rc = 1;
    } else if (!j->live) {
        rc = judge(j, buf_span(&body));
    } else if (!j->quiet) {
        puts("alive");
    }
    buf_release(&body);
    return rc;
}

/* -1: go on. */
static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *timeout = NULL;
    struct args a;

    args_init(&a, "health", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--live"))
            j->live = true;
        else if (args_flag(&a, NULL, "--strict"))
            j->strict = true;
        else if (args_flag(&a, "-q", "--quiet"))
            j->quiet = true;
        else if (!args_value(&a, "-c", "--config", &file) &&
                 !args_value(&a, NULL, "--admin", &j->address) &&
                 !args_value(&a, NULL, "--timeout-ms", &timeout))
            return args_refuse(&a);
    }
    if (timeout != NULL && !args_number(timeout, 1, 600000, &j->deadline_ms))
        return args_refuse(&a);
    return config_load_file(file, j->config);
}

int health_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config)), .deadline_ms = DEADLINE_DEFAULT};
    int rc = 1;

    if (j.config != NULL)
        rc = parse(&j, argc, argv);
    if (rc < 0)
        rc = ask(&j);
    free(j.config);
    return rc;
}
