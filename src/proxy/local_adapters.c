#include "proxy/local_adapters.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/config.h"

#define BLANKS " \t\n"

struct opening {
    const char *model;
    struct decoder *decoder;
    const struct local_adapters *now; /* NULL: none are there yet */
    struct local_adapters *out;
    struct engine_error *err;
};

static enum status wrong(struct engine_error *err, const char *what, const char *word, size_t n)
{
    snprintf(err->text, sizeof(err->text), "adapters: %s: '%.*s'", what,
             (int)(n < 128 ? n : 128), word);
    return ST_INVALID;
}

static bool is_taken(const struct local_adapters *a, const char *model, const char *name)
{
    if (strcmp(name, model) == 0)
        return true;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(name, a->list[i].name) == 0)
            return true;
    }
    return false;
}

/* Zeros: there is no such file. */
static void look_at(const char *path, uint64_t out[4])
{
    struct stat s;

    memset(out, 0, 4 * sizeof(*out));
    if (stat(path, &s) != 0)
        return;
    out[0] = (uint64_t)s.st_dev;
    out[1] = (uint64_t)s.st_ino;
    out[2] = (uint64_t)s.st_size;
    out[3] = (uint64_t)s.st_mtim.tv_sec * 1000000000u + (uint64_t)s.st_mtim.tv_nsec;
}

/* The same file under the same name. */
static bool take_over(const struct local_adapters *now, struct local_adapter *a)
{
    for (size_t i = 0; now != NULL && i < now->count; i++) {
        const struct local_adapter *old = &now->list[i];

        if (strcmp(a->name, old->name) == 0 && a->file[1] != 0 &&
            memcmp(a->file, old->file, sizeof(a->file)) == 0) {
            a->adapter = old->adapter;
            a->kept = true;
            return true;
        }
    }
    return false;
}

/* word: NAME=PATH of n bytes. */
static enum status open_one(const struct opening *o, const char *word, size_t n)
{
    const char *path = memchr(word, '=', n);
    size_t name = path != NULL ? (size_t)(path - word) : 0, rest = n - name - 1;
    struct local_adapter *a = &o->out->list[o->out->count];
    struct engine_error why = {.text = ""};
    char copy[CONFIG_TEXT_MAX];

    if (name == 0 || name >= sizeof(a->name) || rest == 0 || rest >= sizeof(copy))
        return wrong(o->err, "this is not NAME=PATH", word, n);
    if (o->out->count == LOCAL_ADAPTERS_MAX)
        return wrong(o->err, "there are more than 32", word, n);
    *a = (struct local_adapter){.kept = false};
    memcpy(a->name, word, name);
    memcpy(copy, path + 1, rest);
    copy[rest] = '\0';
    if (is_taken(o->out, o->model, a->name))
        return wrong(o->err, "this name is taken", a->name, name);
    look_at(copy, a->file);
    if (!take_over(o->now, a) &&
        decoder_adapter_open(o->decoder, copy, &a->adapter, &why) != ST_OK) {
        snprintf(o->err->text, sizeof(o->err->text), "adapter '%s': %.400s", a->name, why.text);
        return ST_INVALID;
    }
    o->out->count++;
    return ST_OK;
}

static enum status open_all(const struct opening *o, const char *text)
{
    enum status st = ST_OK;

    o->out->count = 0;
    for (text += strspn(text, BLANKS); st == ST_OK && *text != '\0';
         text += strspn(text, BLANKS)) {
        size_t n = strcspn(text, BLANKS);

        st = open_one(o, text, n);
        text += n;
    }
    if (st != ST_OK)
        local_adapters_close(o->out);
    return st;
}

enum status local_adapters_open(const char *text, const char *model, struct decoder *d,
                                struct local_adapters *out, struct engine_error *err)
{
    return open_all(&(struct opening){model, d, NULL, out, err}, text);
}

enum status local_adapters_change(const char *text, const char *model, struct decoder *d,
                                  const struct local_adapters *now, struct local_adapters *out,
                                  struct engine_error *err)
{
    return open_all(&(struct opening){model, d, now, out, err}, text);
}

struct span local_adapters_name(struct span *text)
{
    struct span word;

    while ((word = config_word(text)).len > 0) {
        const char *equals = memchr(word.ptr, '=', word.len);

        if (equals != NULL && equals > word.ptr)
            return (struct span){word.ptr, (size_t)(equals - word.ptr)};
    }
    return word;
}

void local_adapters_close(struct local_adapters *a)
{
    for (size_t i = 0; i < a->count; i++) {
        if (!a->list[i].kept)
            decoder_adapter_close(a->list[i].adapter);
    }
    a->count = 0;
}
