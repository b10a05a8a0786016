/* `ibid report`: what a running ibid has saved, asked of its admin listener. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/json.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/fetch.h"
#include "config/config.h"

#define SAVINGS_PATH     "/admin/v1/savings"
#define BODY_MAX_BYTES   (4 * 1024 * 1024)
#define ARENA_MAX_BYTES  (16 * 1024 * 1024)
#define TOKEN_MAX_BYTES  4096
#define DEPTH_MAX        8
#define LABEL_WIDTH      28
#define DEADLINE_DEFAULT 5000

static const char usage[] =
    "usage: ibid report [--json] [--admin ADDRESS] [--timeout-ms N] [-c FILE]\n"
    "  Asks a running ibid what it answered from where, and what that saved, its own\n"
    "  cost included as negative figures.\n"
    "  --json             as it comes\n"
    "  --admin ADDRESS    of its admin listener (admin.listen)\n"
    "  --timeout-ms N     how long to wait (5000)\n"
    "  -c, --config FILE  the settings of that ibid (admin.listen, token, data_dir)\n";

struct job {
    struct config *config;
    const char *address;
    uint64_t deadline_ms;
    bool json;
    char token[TOKEN_MAX_BYTES];
};

/* --- the table --------------------------------------------------------------------- */

/* Readable: underscores are blanks, and a number of milliseconds since 1970 is a
 * time. */
static void print_row(const struct json *v, int indent)
{
    char label[96], when[40] = "";
    uint64_t ms;

    snprintf(label, sizeof(label), "%.*s", (int)v->key.len, v->key.ptr);
    if (strcmp(label, "since_ms") == 0 && json_u64(v, &ms)) {
        time_t s = (time_t)(ms / 1000);
        struct tm utc;

        if (gmtime_r(&s, &utc) != NULL)
            strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &utc);
        snprintf(label, sizeof(label), "since");
    }
    for (char *p = label; *p != '\0'; p++) {
        if (*p == '_')
            *p = ' ';
    }
    printf("%*s%-*s", 2 * indent, "", LABEL_WIDTH - 2 * indent, label);
    if (when[0] != '\0')
        printf("%s\n", when);
    else if (v->type == JSON_NUMBER)
        printf("%16.*s\n", (int)v->text.len, v->text.ptr);
    else if (v->type == JSON_STRING)
        printf("%.*s\n", (int)v->text.len, v->text.ptr);
    else
        printf("%s\n", v->type == JSON_OBJECT ? "" : json_type_name(v->type));
}

/* Depth first with an explicit stack: what is shown is what came, whatever it is. */
static void print_table(const struct json *root)
{
    const struct json *stack[DEPTH_MAX + 1];
    int depth = 0;

    stack[0] = root->child;
    while (depth >= 0) {
        const struct json *v = stack[depth];

        if (v == NULL) {
            depth--;
            continue;
        }
        stack[depth] = v->next;
        print_row(v, depth);
        if (v->type == JSON_OBJECT && depth < DEPTH_MAX)
            stack[++depth] = v->child;
    }
}

static int render(const struct job *j, struct span body)
{
    struct json_error err = {.text = ""};
    struct arena arena;
    struct json *root;
    int rc = 1;

    arena_init(&arena, 65536, ARENA_MAX_BYTES);
    if (json_parse(&arena, body, DEPTH_MAX, &root, &err) != ST_OK) {
        fprintf(stderr, "ibid: the answer is not JSON: %s\n", err.text);
    } else if (root->type != JSON_OBJECT) {
        fprintf(stderr, "ibid: the answer is not an object\n");
    } else {
        if (j->json)
            fwrite(body.ptr, 1, body.len, stdout);
        else
            print_table(root);
        rc = 0;
    }
    arena_release(&arena);
    return rc;
}

/* --- asking ------------------------------------------------------------------------ */

static int ask(struct job *j)
{
    struct fetch f = {.address = j->address != NULL ? j->address : j->config->admin.listen,
                      .path = SAVINGS_PATH,
                      .token = j->token,
                      .deadline_ms = (unsigned)j->deadline_ms};
    char why[512] = "";
    struct buf body;
    int rc;

    if (!fetch_read_token(j->config, j->token, sizeof(j->token)))
        return 1;
    buf_init(&body, BODY_MAX_BYTES);
    if (fetch_body(&f, &body, why, sizeof(why)) == ST_OK) {
        rc = render(j, buf_span(&body));
    } else {
        fprintf(stderr, "ibid: %s\n", why);
        rc = 1;
    }
    buf_release(&body);
    return rc;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *timeout = NULL;
    struct args a;

    args_init(&a, "report", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (!args_value(&a, "-c", "--config", &file) &&
                 !args_value(&a, NULL, "--admin", &j->address) &&
                 !args_value(&a, NULL, "--timeout-ms", &timeout))
            return args_refuse(&a);
    }
    if (timeout != NULL && !args_number(timeout, 1, 600000, &j->deadline_ms))
        return args_refuse(&a);
    return config_load_file(file, j->config);
}

int report_main(int argc, char **argv)
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
