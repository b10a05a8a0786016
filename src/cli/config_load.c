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

extern char **environ;

static enum status read_file(const char *name, struct buf *out)
{
    FILE *f = fopen(name, "rb");
    enum status st = ST_OK;
    int saved;

    if (f == NULL) {
        fprintf(stderr, "ibid: %s: %s\n", name, strerror(errno));
        return ST_NOTFOUND;
    }
    while (st == ST_OK && !feof(f) && !ferror(f)) {
        st = buf_reserve(out, PIECE_BYTES);
        if (st == ST_OK)
            out->len += fread(out->ptr + out->len, 1, PIECE_BYTES, f);
    }
    saved = errno;
    if (ferror(f)) {
        fprintf(stderr, "ibid: %s: %s\n", name, strerror(saved));
        st = ST_UNAVAILABLE;
    } else if (st != ST_OK) {
        fprintf(stderr, "ibid: %s: %s\n", name, status_text(st));
    }
    fclose(f);
    return st;
}

typedef enum status parse_fn(struct config *c, struct span text, struct config_error *err);

static enum status load_text(const char *name, parse_fn *parse, struct config *out)
{
    struct config_error err = {.line = 0};
    struct buf text;
    enum status st;

    buf_init(&text, FILE_MAX_BYTES + PIECE_BYTES);
    st = read_file(name, &text);
    if (st == ST_OK) {
        st = parse(out, buf_span(&text), &err);
        if (st != ST_OK && err.line != 0)
            fprintf(stderr, "ibid: %s:%u: %s\n", name, err.line, err.text);
        else if (st != ST_OK)
            fprintf(stderr, "ibid: %s: %s\n", name, err.text);
    }
    buf_release(&text);
    return st;
}

int config_load_file(const char *file, struct config *out)
{
    struct config_error err = {.text = "out of memory"};
    enum status st = ST_OK;

    config_defaults(out);
    if (file != NULL && load_text(file, config_parse, out) != ST_OK)
        return EXIT_USAGE;
    st = config_environment(out, environ, &err);
    if (st == ST_OK && out->prices_file[0] != '\0' &&
        load_text(out->prices_file, config_add_prices, out) != ST_OK)
        return EXIT_USAGE;
    if (st == ST_OK)
        st = config_validate(out, &err);
    if (st == ST_OK)
        return -1;
    fprintf(stderr, "ibid: %s\n", err.text);
    return EXIT_USAGE;
}

int config_load(int argc, char **argv, const char *command, struct config *out)
{
    const char *file = NULL;
    char usage[128];
    struct args a;

    snprintf(usage, sizeof(usage),
             "usage: ibid %s [-c FILE]\n  -c, --config FILE  settings (see `ibid check`)\n",
             command);
    args_init(&a, command, usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (!args_value(&a, "-c", "--config", &file))
            return args_refuse(&a);
    }
    return config_load_file(file, out);
}
