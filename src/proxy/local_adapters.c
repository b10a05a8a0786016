#include "proxy/local_adapters.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

#define BLANKS " \t\n"

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

/* word: NAME=PATH of n bytes. */
static enum status open_one(const char *word, size_t n, const char *model, struct decoder *d,
                            struct local_adapters *out, struct engine_error *err)
{
    const char *path = memchr(word, '=', n);
    size_t name = path != NULL ? (size_t)(path - word) : 0, rest = n - name - 1;
    struct local_adapter *a = &out->list[out->count];
    struct engine_error why = {.text = ""};
    char copy[CONFIG_TEXT_MAX];

    if (name == 0 || name >= sizeof(a->name) || rest == 0 || rest >= sizeof(copy))
        return wrong(err, "this is not NAME=PATH", word, n);
    if (out->count == LOCAL_ADAPTERS_MAX)
        return wrong(err, "there are more than 32", word, n);
    memcpy(a->name, word, name);
    a->name[name] = '\0';
    memcpy(copy, path + 1, rest);
    copy[rest] = '\0';
    if (is_taken(out, model, a->name))
        return wrong(err, "this name is taken", a->name, name);
    if (decoder_adapter_open(d, copy, &a->adapter, &why) != ST_OK) {
        snprintf(err->text, sizeof(err->text), "adapter '%s': %.400s", a->name, why.text);
        return ST_INVALID;
    }
    out->count++;
    return ST_OK;
}

enum status local_adapters_open(const char *text, const char *model, struct decoder *d,
                                struct local_adapters *out, struct engine_error *err)
{
    enum status st = ST_OK;

    out->count = 0;
    for (text += strspn(text, BLANKS); st == ST_OK && *text != '\0';
         text += strspn(text, BLANKS)) {
        size_t n = strcspn(text, BLANKS);

        st = open_one(text, n, model, d, out, err);
        text += n;
    }
    if (st != ST_OK)
        local_adapters_close(out);
    return st;
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
    for (size_t i = 0; i < a->count; i++)
        decoder_adapter_close(a->list[i].adapter);
    a->count = 0;
}
