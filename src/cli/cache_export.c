/* `ibid cache export`: every stored answer as a line of JSON, in the order of their keys, so
 * that the same store gives the same bytes.
 *
 * The store visits its entries in an order of its own, on a thread of its own. Their lines go
 * into a file without a name; of each only key and place are kept until all are there. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/entry.h"
#include "cache/store.h"
#include "cli/args.h"
#include "cli/cache_parts.h"
#include "cli/cache_verbs.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/entry_line.h"
#include "cli/progress.h"
#include "config/config.h"
#include "rt/loop.h"

#define COPY_BYTES 65536

static const char usage[] =
    "usage: ibid cache export [-o FILE] [-q] [-c FILE]\n"
    "       ibid cache export --for finetune …: examples to train a model with; --help says "
    "more\n"
    "  Writes what is stored, a line of JSON each, in the order of their keys: model, "
    "question,\n"
    "  times, and the entry itself as it is kept (frame). `ibid cache import` takes them "
    "back,\n"
    "  byte for byte. Prompts and answers of all clients are in it; their credentials are "
    "not.\n"
    "  -o, --output FILE  there (0600, never replacing a file), rather than standard output\n"
    "  -q, --quiet        say only what goes wrong\n"
    "  -c, --config FILE  settings (store, data_dir)\n";

struct line {
    struct digest key;
    uint64_t at, bytes;
};

struct export
{
    FILE *lines; /* without a name */
    uint64_t bytes;
    struct line *line; /* owned */
    size_t count, room;
    struct buf text, frame;
    struct progress progress;
    enum status st; /* of the visits */
    bool scanned;
    enum status scan_st;
};

static enum status note(struct export *x, const struct entry *e)
{
    if (x->count == x->room) {
        size_t room = x->room * 2 + 1024;
        struct line *grown = realloc(x->line, room * sizeof(*grown));

        if (grown == NULL)
            return ST_NOMEM;
        x->line = grown;
        x->room = room;
    }
    x->line[x->count++] = (struct line){e->key, x->bytes, x->text.len};
    x->bytes += x->text.len;
    return ST_OK;
}

/* On the store's thread, while the loop's waits. */
static bool on_entry(void *owner, struct entry *e)
{
    struct export *x = owner;

    x->st = entry_line_write(&x->text, &x->frame, e);
    if (x->st == ST_OK)
        x->st = note(x, e);
    if (x->st == ST_OK && fwrite(x->text.ptr, 1, x->text.len, x->lines) != x->text.len)
        x->st = ST_UNAVAILABLE;
    progress_say(&x->progress, "%zu entries", x->count);
    return x->st == ST_OK;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    struct export *x = owner;

    (void)entries;
    x->scanned = true;
    x->scan_st = st;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct line *)a)->key.bytes, ((const struct line *)b)->key.bytes,
                  DIGEST_BYTES);
}

static bool copy_out(struct export *x, FILE *out)
{
    char *piece = malloc(COPY_BYTES);
    bool ok = piece != NULL && fflush(x->lines) == 0;

    if (x->count > 0)
        qsort(x->line, x->count, sizeof(*x->line), by_key);
    for (size_t i = 0; ok && i < x->count; i++) {
        uint64_t left = x->line[i].bytes;

        ok = fseeko(x->lines, (off_t)x->line[i].at, SEEK_SET) == 0;
        while (ok && left > 0) {
            size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;

            ok = fread(piece, 1, n, x->lines) == n && fwrite(piece, 1, n, out) == n;
            left -= n;
        }
    }
    free(piece);
    return ok && fflush(out) == 0;
}

static int complain(const char *what, enum status st)
{
    fprintf(stderr, "ibid: %s: %s\n", what, status_text(st));
    return 1;
}

static int scan_and_copy(struct export *x, struct cache_parts *p, FILE *out)
{
    const struct timespec pause = {0, 1000000};
    enum status st = p->store->ops->scan(p->store, on_entry, on_scanned, x);

    while (st == ST_OK && !x->scanned) {
        (void)loop_turn(p->loop);
        nanosleep(&pause, NULL);
    }
    progress_end(&x->progress);
    if (st == ST_OK)
        st = x->st != ST_OK ? x->st : x->scan_st;
    if (st != ST_OK)
        return complain("the store can not be read whole", st);
    return copy_out(x, out) ? 0 : complain("it can not be written", ST_UNAVAILABLE);
}

static int export(const struct config *c, const char *path, bool quiet)
{
    struct export x = {.lines = tmpfile()};
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    FILE *out = path == NULL ? stdout : fd >= 0 ? fdopen(fd, "w") : NULL;
    struct cache_parts p = {.config = c};
    int rc = 1;

    progress_init(&x.progress, quiet);
    buf_init(&x.text, 4 * (size_t)ENTRY_FRAME_BYTES_MAX);
    buf_init(&x.frame, ENTRY_FRAME_BYTES_MAX);
    if (out == NULL)
        fprintf(stderr, "ibid: '%s' can not be made, or is there already\n", path);
    else if (x.lines == NULL)
        fprintf(stderr, "ibid: no temporary file can be made\n");
    else if (cache_parts_open_store(&p, c))
        rc = scan_and_copy(&x, &p, out);
    if (rc == 0 && !quiet)
        fprintf(stderr, "%zu entries\n", x.count);
    cache_parts_close(&p);
    if (x.lines != NULL)
        fclose(x.lines);
    if (out != NULL && out != stdout)
        rc = fclose(out) == 0 ? rc : 1;
    buf_release(&x.text);
    buf_release(&x.frame);
    free(x.line);
    return rc;
}

static bool is_for_something(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--for", 5) == 0)
            return true;
    }
    return false;
}

int cache_export_main(int argc, char **argv)
{
    struct config *c = calloc(1, sizeof(*c));
    const char *file = NULL, *output = NULL;
    bool quiet = false;
    struct args a;
    int rc;

    if (c == NULL)
        return 1;
    if (is_for_something(argc, argv)) {
        free(c);
        return cache_finetune_main(argc, argv);
    }
    args_init(&a, "cache export", usage, argc, argv);
    while (args_more(&a)) {
        bool help = args_help(&a);

        if (!help && args_flag(&a, "-q", "--quiet")) {
            quiet = true;
        } else if (help || (!args_value(&a, "-o", "--output", &output) &&
                            !args_value(&a, "-c", "--config", &file))) {
            free(c);
            return help ? 0 : args_refuse(&a);
        }
    }
    rc = config_load_file(file, c);
    if (rc < 0)
        rc = export(c, output, quiet);
    free(c);
    return rc;
}
