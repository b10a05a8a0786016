#define _XOPEN_SOURCE 700 /* realpath */
#include "proxy/model_speeds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_writer.h"

#define PATH_BYTES    2048
#define FILE_MAX      (512 * 1024)
#define MODELS_MAX    256
#define PER_S_MAX     1e9
#define MODEL_PATH    1024 /* a longer one is not noted */
#define ARENA_MAX     (8 * FILE_MAX)
#define JSON_LEVELS   4
#define DAY_BYTES_MAX 10

static bool path_of(const char *model_dir, const char *ending, char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, "%s/%s%s", model_dir, MODEL_SPEEDS_FILE, ending);

    return model_dir[0] != '\0' && n > 0 && n < PATH_BYTES;
}

static bool size_of(const char *path, uint64_t *out)
{
    struct stat s;

    if (stat(path, &s) != 0)
        return false;
    *out = (uint64_t)s.st_size;
    return true;
}

/* ST_OK with an empty text: there is none. */
static enum status read_all(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    enum status st = ST_OK;
    char piece[4096];
    size_t n;

    if (f == NULL)
        return errno == ENOENT ? ST_OK : ST_UNAVAILABLE;
    while (st == ST_OK && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        st = buf_append(out, (struct span){piece, n});
    if (ferror(f))
        st = ST_UNAVAILABLE;
    (void)fclose(f);
    return st;
}

/* *list: the models, or NULL: there is no file. */
static enum status open_list(const char *model_dir, struct buf *text, struct arena *arena,
                             const struct json **list)
{
    char path[PATH_BYTES];
    struct json_error err;
    struct json *top;
    enum status st;

    *list = NULL;
    if (!path_of(model_dir, "", path))
        return ST_INVALID;
    st = read_all(path, text);
    if (st != ST_OK || text->len == 0)
        return st;
    st = json_parse(arena, buf_span(text), JSON_LEVELS, &top, &err);
    if (st != ST_OK)
        return st;
    *list = json_get(top, SPAN("models"));
    return *list != NULL && (*list)->type == JSON_ARRAY ? ST_OK : ST_INVALID;
}

static bool is_rate(const struct json *v, double *out)
{
    return json_double(v, out) && *out > 0 && *out < PER_S_MAX;
}

static bool read_one(const struct json *v, struct model_speed *out)
{
    struct span day = json_str(json_get(v, SPAN("measured")));
    struct model_speed s = {.threads = 0};

    if (!is_rate(json_get(v, SPAN("prompt_tokens_per_s")), &s.prompt_per_s) ||
        !is_rate(json_get(v, SPAN("decode_tokens_per_s")), &s.decode_per_s) ||
        !json_u64(json_get(v, SPAN("threads")), &s.threads) || day.len > DAY_BYTES_MAX)
        return false;
    memcpy(s.day, day.ptr, day.len);
    *out = s;
    return true;
}

static void find_one(const struct json *list, const char *path, uint64_t bytes,
                     struct model_speed *out)
{
    uint64_t then;

    for (const struct json *v = list != NULL ? list->child : NULL; v != NULL; v = v->next) {
        if (span_eq(json_str(json_get(v, SPAN("path"))), span_of(path)) &&
            json_u64(json_get(v, SPAN("bytes")), &then) && then == bytes)
            (void)read_one(v, out);
    }
}

void model_speeds_get(const char *model_dir, const char *path, struct model_speed *out)
{
    char *whole = realpath(path, NULL);
    const struct json *list;
    struct arena arena;
    struct buf text;
    uint64_t bytes;

    *out = (struct model_speed){.threads = 0};
    buf_init(&text, FILE_MAX);
    arena_init(&arena, 1 << 14, ARENA_MAX);
    if (whole != NULL && size_of(whole, &bytes) &&
        open_list(model_dir, &text, &arena, &list) == ST_OK)
        find_one(list, whole, bytes, out);
    arena_release(&arena);
    buf_release(&text);
    free(whole);
}

static void write_one(struct json_writer *w, struct span path, uint64_t bytes,
                      const struct model_speed *s)
{
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "path", path);
    json_writer_u64(w, "bytes", bytes);
    json_writer_real(w, "prompt_tokens_per_s", s->prompt_per_s);
    json_writer_real(w, "decode_tokens_per_s", s->decode_per_s);
    json_writer_u64(w, "threads", s->threads);
    json_writer_text(w, "measured", span_of(s->day));
    json_writer_close(w, '}');
}

/* The others as they were, and this one behind them. */
static void write_list(struct json_writer *w, const struct json *list, struct span path,
                       uint64_t bytes, const struct model_speed *s)
{
    size_t left = list != NULL ? list->count : 0;

    json_writer_open(w, NULL, '{');
    json_writer_open(w, "models", '[');
    for (const struct json *v = list != NULL ? list->child : NULL; v != NULL; v = v->next) {
        struct span other = json_str(json_get(v, SPAN("path")));
        struct model_speed known;
        uint64_t size;

        if (left-- < MODELS_MAX && !span_eq(other, path) && read_one(v, &known) &&
            json_u64(json_get(v, SPAN("bytes")), &size))
            write_one(w, other, size, &known);
    }
    write_one(w, path, bytes, s);
    json_writer_close(w, ']');
    json_writer_close(w, '}');
    json_writer_raw(w, SPAN("\n"));
}

static enum status put_file(const char *model_dir, const struct buf *text)
{
    char path[PATH_BYTES], temp[PATH_BYTES];
    FILE *f;
    bool ok;

    if (!path_of(model_dir, "", path) || !path_of(model_dir, ".new", temp))
        return ST_INVALID;
    f = fopen(temp, "we");
    if (f == NULL)
        return ST_UNAVAILABLE;
    ok = fwrite(text->ptr, 1, text->len, f) == text->len;
    ok = fclose(f) == 0 && ok;
    return ok && rename(temp, path) == 0 ? ST_OK : ST_UNAVAILABLE;
}

/* path: as realpath() gives it. */
static enum status put_one(const char *model_dir, const char *path, const struct model_speed *s)
{
    const struct json *list;
    struct arena arena;
    struct buf text, out;
    struct json_writer w = {&out, ST_OK, false};
    uint64_t bytes;
    enum status st;

    if (strlen(path) >= MODEL_PATH || !size_of(path, &bytes))
        return ST_INVALID;
    buf_init(&text, FILE_MAX);
    buf_init(&out, FILE_MAX);
    arena_init(&arena, 1 << 14, ARENA_MAX);
    st = open_list(model_dir, &text, &arena, &list);
    if (st == ST_OK) {
        write_list(&w, list, span_of(path), bytes, s);
        st = w.st;
    }
    if (st == ST_OK)
        st = put_file(model_dir, &out);
    arena_release(&arena);
    buf_release(&text);
    buf_release(&out);
    return st;
}

enum status model_speeds_put(const char *model_dir, const char *path,
                             const struct model_speed *s)
{
    char *whole = realpath(path, NULL);
    enum status st = whole != NULL ? put_one(model_dir, whole, s) : ST_UNAVAILABLE;

    free(whole);
    return st;
}
