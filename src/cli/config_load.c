#include "cli/config_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "config/config.h"

#define FILE_MAX_BYTES (1024 * 1024 + 1) /* one more than config_parse() takes */
#define PIECE_BYTES    4096
#define WHY_BYTES      (CONFIG_TEXT_MAX + 512)

extern char **environ;

static enum status read_file(const char *name, struct buf *out, char *why, size_t why_cap)
{
    FILE *f = fopen(name, "rbe");
    enum status st = ST_OK;
    int saved;

    if (f == NULL) {
        snprintf(why, why_cap, "%s: %s", name, strerror(errno));
        return ST_NOTFOUND;
    }
    while (st == ST_OK && !feof(f) && !ferror(f)) {
        st = buf_reserve(out, PIECE_BYTES);
        if (st == ST_OK)
            out->len += fread(out->ptr + out->len, 1, PIECE_BYTES, f);
    }
    saved = errno;
    if (ferror(f)) {
        snprintf(why, why_cap, "%s: %s", name, strerror(saved));
        st = ST_UNAVAILABLE;
    } else if (st != ST_OK) {
        snprintf(why, why_cap, "%s: %s", name, status_text(st));
    }
    fclose(f);
    return st;
}

typedef enum status parse_fn(struct config *c, struct span text, struct config_error *err);

static enum status load_text(const char *name, parse_fn *parse, struct config *out, char *why,
                             size_t why_cap)
{
    struct config_error err = {.line = 0};
    struct buf text;
    enum status st;

    buf_init(&text, FILE_MAX_BYTES + PIECE_BYTES);
    st = read_file(name, &text, why, why_cap);
    if (st == ST_OK) {
        st = parse(out, buf_span(&text), &err);
        if (st != ST_OK && err.line != 0)
            snprintf(why, why_cap, "%s:%u: %s", name, err.line, err.text);
        else if (st != ST_OK)
            snprintf(why, why_cap, "%s: %s", name, err.text);
    }
    buf_release(&text);
    return st;
}

enum status config_load_quietly(const char *file, struct config *out, char *why, size_t why_cap)
{
    struct config_error err = {.text = "out of memory"};
    enum status st = ST_OK;

    config_defaults(out);
    if (file != NULL)
        st = load_text(file, config_parse, out, why, why_cap);
    if (st != ST_OK)
        return st;
    st = config_environment(out, environ, &err);
    if (st == ST_OK && out->prices_file[0] != '\0') {
        st = load_text(out->prices_file, config_add_prices, out, why, why_cap);
        if (st != ST_OK)
            return st;
    }
    if (st == ST_OK)
        st = config_validate(out, &err);
    if (st != ST_OK)
        snprintf(why, why_cap, "%s", err.text);
    return st;
}

int config_load_file(const char *file, struct config *out)
{
    char why[WHY_BYTES] = "";

    if (config_load_quietly(file, out, why, sizeof(why)) == ST_OK)
        return -1;
    fprintf(stderr, "ibid: %s\n", why);
    return EXIT_USAGE;
}

int config_load_arguments(int argc, char **argv, const char *command, const char **file)
{
    char usage[128];
    struct args a;

    *file = NULL;
    snprintf(usage, sizeof(usage),
             "usage: ibid %s [-c FILE]\n  -c, --config FILE  settings (see `ibid check`)\n",
             command);
    args_init(&a, command, usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (!args_value(&a, "-c", "--config", file))
            return args_refuse(&a);
    }
    return -1;
}

int config_load(int argc, char **argv, const char *command, struct config *out)
{
    const char *file;
    int rc = config_load_arguments(argc, argv, command, &file);

    return rc >= 0 ? rc : config_load_file(file, out);
}
