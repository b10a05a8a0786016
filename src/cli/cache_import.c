/* `ibid cache import`: answers from elsewhere, line by line. What came before a line that is
 * refused stays imported; importing twice changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "cache/entry.h"
#include "cli/args.h"
#include "cli/cache_parts.h"
#include "cli/cache_verbs.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/log_lines.h"
#include "cli/progress.h"
#include "config/config.h"
#include "http/head.h"
#include "protocol/answer.h"
#include "proxy/account.h"
#include "proxy/deposit.h"

#define LINE_MAX_BYTES ((size_t)4 * ENTRY_FRAME_BYTES_MAX)
#define HEADERS_MAX    16
#define CREDENTIAL_MAX 8192
#define PATH_DEFAULT   "/v1/chat/completions"

static const char usage[] =
    "usage: ibid cache import [--requests FILE] [--credential SOURCE | --anonymous] [--path "
    "PATH]\n"
    "                         [--header 'NAME: VALUE']… [--namespace NAME] [--bad "
    "skip|refuse]\n"
    "                         [--admin ADDRESS] [--dry-run] [-q] [-c FILE] FILE…\n"
    "  Puts past answers into the store, so that they need not be paid again: also of an ibid\n"
    "  that runs, by its admin listener. FILE is - for standard input, or has a JSON object a\n"
    "  line, each of\n"
    "    ibid cache export                   as it was, under the same secret\n"
    "    OpenAI's batches                    answers; the requests are given by --requests\n"
    "    {path, request, response}           bodies as they are sent and answered\n"
    "    LiteLLM's logs                      {model, messages, model_parameters, response}\n"
    "    Langfuse's generations              {model, input, modelParameters, output}\n"
    "  An answer is found by who would have got it: by the same credential, headers and "
    "settings\n"
    "  (upstream, cache.scope, secret) as the clients will come with.\n"
    "  --credential SOURCE  env:VARIABLE or file:PATH, the key of these clients: as a bearer\n"
    "                       token, or after 'NAME: ' in the header that it names\n"
    "  --anonymous          they have none\n"
    "  --header H           another header they send (OpenAI-Project, that of "
    "cache.scope_header)\n"
    "  --namespace NAME     their x-ibid-namespace\n"
    "  --path PATH          of lines that do not say theirs (" PATH_DEFAULT ")\n"
    "  --bad skip|refuse    pass over a line that can not be read, or stop at it (refuse)\n"
    "  --admin ADDRESS      hand them to the ibid with this admin listener (admin.listen, "
    "where\n"
    "                       the store is in use)\n"
    "  --dry-run            read and judge, store nothing\n"
    "  -q, --quiet          say only what goes wrong\n"
    "  -c, --config FILE    settings\n";

struct import {
    struct config *config;
    const char *requests_path, *credential, *path, *name_space, *admin;
    const char **files; /* owned list */
    size_t file_count;
    bool anonymous, skip_bad, dry_run, quiet;
    struct http_field headers[HEADERS_MAX + 1]; /* the credential's among them */
    size_t header_count;
    struct buf secret; /* the credential's value */

    struct cache_parts parts;
    struct log_requests requests;
    struct log_line line;
    struct arena scratch;
    struct progress progress;
    uint64_t lines, taken, failed, expired, bad;
    struct account unfit; /* only its reasons */
};

static bool complain(const char *fmt, const char *what)
{
    fputs("ibid: ", stderr);
    fprintf(stderr, "%s%s\n", fmt, what);
    return false;
}

/* --- one line ----------------------------------------------------------------------------- */

static const char *store(struct import *x, struct entry *e)
{
    x->taken++;
    if (x->dry_run) {
        entry_unref(e);
        return NULL;
    }
    return cache_parts_put(&x->parts, e) ? NULL : "the store does not take entries in time";
}

static const char *take_entry(struct import *x)
{
    struct answer a;
    struct entry *e;
    struct buf frame;
    enum status st;

    buf_init(&frame, ENTRY_FRAME_BYTES_MAX);
    st = base64_decode(&frame, x->line.frame);
    if (st == ST_OK)
        st = entry_decode(buf_span(&frame), &e);
    buf_release(&frame);
    if (st != ST_OK)
        return "its frame is not whole";
    if (answer_unpack(e->answer, &a) != ST_OK || e->expires_ms <= clock_wall_ms()) {
        bool old = e->expires_ms <= clock_wall_ms();

        entry_unref(e);
        x->expired += old;
        return old ? NULL : "its answer is of another version";
    }
    return store(x, e);
}

static const char *take_exchange(struct import *x, char *why, size_t cap)
{
    struct deposit d = {.target = x->line.path,
                        .fields = x->headers,
                        .field_count = x->header_count,
                        .name_space = {NULL, 0},
                        .body = buf_span(&x->line.body),
                        .answer = buf_span(&x->line.answer),
                        .created_ms = x->line.created_ms};
    const char *unfit = NULL;
    struct entry *e;
    enum status st;

    if (x->header_count == 0 && !x->anonymous)
        return "whose answers are these? --credential or --anonymous";
    if (x->name_space != NULL)
        d.name_space = span_of(x->name_space);
    st = deposit_make(x->parts.proxy, &d, &e, &unfit, why, cap);
    if (st == ST_OK)
        return store(x, e);
    if (st != ST_NOTFOUND)
        return why;
    x->failed++;
    account_unstored(&x->unfit, unfit);
    return NULL;
}

static const char *take_line(struct import *x, struct span line, char *why, size_t cap)
{
    const char *wrong =
        log_lines_read(&x->line, &x->requests, span_of(x->path), &x->scratch, line);

    if (wrong != NULL)
        return wrong;
    switch (x->line.kind) {
    case LOG_LINE_ENTRY:
        return take_entry(x);
    case LOG_LINE_EXCHANGE:
        return take_exchange(x, why, cap);
    case LOG_LINE_FAILED:
        x->failed++;
        account_unstored(&x->unfit, "no_answer");
        break;
    }
    return NULL;
}

/* --- files -------------------------------------------------------------------------------- */

typedef const char *take_fn(struct import *x, struct span line, char *why, size_t cap);

static const char *add_request(struct import *x, struct span line, char *why, size_t cap)
{
    (void)why;
    (void)cap;
    return log_lines_request_add(&x->requests, &x->scratch, line);
}

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

static bool read_lines(struct import *x, FILE *f, const char *path, take_fn *take)
{
    char *line = NULL, why[192];
    size_t room = 0, number = 0;
    const char *wrong = NULL;
    ssize_t n;

    while (wrong == NULL && (n = getline(&line, &room, f)) > 0) {
        number++;
        if (is_blank(line))
            continue;
        x->lines++;
        wrong = (size_t)n > LINE_MAX_BYTES
                    ? "it is too long"
                    : take(x, (struct span){line, (size_t)n}, why, sizeof(why));
        arena_reset(&x->scratch);
        progress_say(&x->progress, "%s: line %zu, %llu taken", path, number,
                     (unsigned long long)x->taken);
        if (wrong == NULL)
            continue;
        progress_end(&x->progress);
        fprintf(stderr, "ibid: %s: line %zu: %s\n", path, number, wrong);
        x->bad++;
        if (x->skip_bad)
            wrong = NULL;
    }
    free(line);
    return wrong == NULL && (ferror(f) == 0 || complain("cannot read ", path));
}

static bool read_file(struct import *x, const char *path, take_fn *take)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool ok;

    if (f == NULL) {
        fprintf(stderr, "ibid: cannot read '%s': %s\n", path, strerror(errno));
        return false;
    }
    ok = read_lines(x, f, path, take);
    if (f != stdin)
        fclose(f);
    return ok;
}

static bool read_requests(struct import *x)
{
    const char *wrong;

    if (x->requests_path == NULL)
        return true;
    if (!read_file(x, x->requests_path, add_request))
        return false;
    x->lines = 0;
    wrong = log_lines_requests_sort(&x->requests);
    return wrong == NULL || complain("--requests: ", wrong);
}

static void report(const struct import *x)
{
    uint64_t lost = x->dry_run ? 0 : cache_parts_lost(&x->parts);

    fprintf(stderr, "%llu lines: %llu taken, %llu not reusable, %llu expired, %llu bad%s\n",
            (unsigned long long)x->lines, (unsigned long long)x->taken,
            (unsigned long long)x->failed, (unsigned long long)x->expired,
            (unsigned long long)x->bad, x->dry_run ? "; nothing was stored" : "");
    for (size_t i = 0; i < ACCOUNT_REASONS && x->unfit.unstored[i].name != NULL; i++)
        fprintf(stderr, "  not reusable: %s %llu\n", x->unfit.unstored[i].name,
                (unsigned long long)x->unfit.unstored[i].count);
    if (lost > 0)
        fprintf(stderr, "ibid: the store did not keep %llu of them\n",
                (unsigned long long)lost);
}

static int run(struct import *x)
{
    bool ok = read_requests(x) && cache_parts_open_sink(&x->parts, x->config, x->admin) &&
              cache_parts_open_proxy(&x->parts);

    for (size_t i = 0; ok && i < x->file_count; i++)
        ok = read_file(x, x->files[i], take_line);
    progress_end(&x->progress);
    if (x->parts.proxy != NULL && !x->dry_run) {
        ok = cache_parts_settle(&x->parts) && ok;
        ok = cache_parts_lost(&x->parts) == 0 && ok;
    }
    if (x->parts.proxy != NULL && (!x->quiet || !ok))
        report(x);
    cache_parts_close(&x->parts);
    return ok ? 0 : 1;
}

/* --- arguments ---------------------------------------------------------------------------- */

static bool add_header(struct import *x, const char *text)
{
    const char *colon = strchr(text, ':');
    struct http_field f;

    if (colon == NULL || x->header_count == HEADERS_MAX)
        return false;
    f.name = (struct span){text, (size_t)(colon - text)};
    f.value = span_of(colon + 1 + strspn(colon + 1, " "));
    x->headers[x->header_count++] = f;
    return http_is_token(f.name) && http_is_value(f.value);
}

static bool read_secret(struct import *x, const char *source)
{
    char text[CREDENTIAL_MAX];
    FILE *f;
    size_t n = 0;

    if (strncmp(source, "env:", 4) == 0) {
        const char *value = getenv(source + 4);

        if (value == NULL)
            return complain("--credential: the environment has no ", source + 4);
        return buf_append(&x->secret, span_of(value)) == ST_OK;
    }
    f = fopen(source + 5, "re");
    if (f == NULL)
        return complain("--credential: cannot read ", source + 5);
    n = fread(text, 1, sizeof(text), f);
    fclose(f);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
        n--;
    return buf_append(&x->secret, (struct span){text, n}) == ST_OK;
}

/* "env:KEY", or "x-api-key: env:KEY". */
static bool add_credential(struct import *x)
{
    const char *source = x->credential, *blank;
    struct span name = SPAN("authorization");

    if (source == NULL)
        return true;
    blank = strstr(source, ": ");
    if (blank != NULL) {
        name = (struct span){source, (size_t)(blank - source)};
        source = blank + 2;
    } else if (buf_append(&x->secret, SPAN("Bearer ")) != ST_OK) {
        return false;
    }
    if (strncmp(source, "env:", 4) != 0 && strncmp(source, "file:", 5) != 0)
        return complain(
            "--credential: expected env:VARIABLE or file:PATH, never the key itself", "");
    if (!read_secret(x, source))
        return false;
    x->headers[x->header_count++] = (struct http_field){name, buf_span(&x->secret)};
    return http_is_token(name) && http_is_value(buf_span(&x->secret)) && x->secret.len > 0
               ? true
               : complain("--credential: is no header's value", "");
}

static bool take_option(struct import *x, struct args *a, const char **file, bool *wrong)
{
    const char *text;

    if (args_flag(a, NULL, "--anonymous"))
        return (x->anonymous = true);
    if (args_flag(a, NULL, "--dry-run"))
        return (x->dry_run = true);
    if (args_flag(a, "-q", "--quiet"))
        return (x->quiet = true);
    if (args_value(a, NULL, "--bad", &text)) {
        x->skip_bad = strcmp(text, "skip") == 0;
        *wrong = !x->skip_bad && strcmp(text, "refuse") != 0;
        return true;
    }
    if (args_value(a, NULL, "--header", &text)) {
        *wrong = !add_header(x, text);
        return true;
    }
    if (args_value(a, "-c", "--config", file) ||
        args_value(a, NULL, "--requests", &x->requests_path) ||
        args_value(a, NULL, "--credential", &x->credential) ||
        args_value(a, NULL, "--admin", &x->admin) || args_value(a, NULL, "--path", &x->path) ||
        args_value(a, NULL, "--namespace", &x->name_space))
        return true;
    if (strcmp(a->argv[a->at], "-") == 0) { /* standard input */
        x->files[x->file_count++] = a->argv[a->at++];
        return true;
    }
    return args_word(a, &x->files[x->file_count]) && ++x->file_count > 0;
}

static int parse(struct import *x, int argc, char **argv)
{
    const char *file = NULL;
    struct args a;

    args_init(&a, "cache import", usage, argc, argv);
    while (args_more(&a)) {
        bool wrong = false;

        if (args_help(&a))
            return 0;
        if (!take_option(x, &a, &file, &wrong))
            return args_refuse(&a);
        if (wrong) {
            fprintf(stderr, "ibid cache import: '%s' is not understood\n%s", a.argv[a.at - 1],
                    usage);
            return EXIT_USAGE;
        }
    }
    if (x->file_count == 0 || x->path[0] != '/')
        return args_refuse(&a);
    if (!add_credential(x))
        return EXIT_USAGE;
    return config_load_file(file, x->config);
}

int cache_import_main(int argc, char **argv)
{
    struct import *x = calloc(1, sizeof(*x));
    int rc = 1;

    if (x == NULL)
        return 1;
    x->config = calloc(1, sizeof(*x->config));
    x->files = calloc((size_t)argc + 1, sizeof(*x->files));
    x->path = PATH_DEFAULT;
    buf_init(&x->secret, CREDENTIAL_MAX + 16);
    arena_init(&x->scratch, 65536, 64 * (size_t)ENTRY_FRAME_BYTES_MAX);
    log_lines_init(&x->line, ENTRY_FRAME_BYTES_MAX);
    log_lines_requests_init(&x->requests);
    if (x->config != NULL && x->files != NULL)
        rc = parse(x, argc, argv);
    progress_init(&x->progress, x->quiet);
    if (rc < 0)
        rc = run(x);
    log_lines_requests_release(&x->requests);
    log_lines_release(&x->line);
    arena_release(&x->scratch);
    buf_release(&x->secret);
    free(x->files);
    free(x->config);
    free(x);
    return rc;
}
