#include "proxy/local_voices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/head.h"
#include "proxy/local_loading.h"

static struct local_voice *add(struct local_voices *v, size_t model, size_t adapter,
                               struct span name)
{
    struct local_voice *list = realloc(v->list, (v->count + 1) * sizeof(*list));
    struct local_voice *one;

    if (list == NULL)
        return NULL;
    v->list = list;
    one = &list[v->count++];
    *one = (struct local_voice){.model = model, .adapter = adapter};
    snprintf(one->name, sizeof(one->name), "%.*s", (int)(name.len < 127 ? name.len : 127),
             name.ptr);
    return one;
}

enum status local_voices_add(struct local_voices *v, size_t model,
                             const struct local_settings *s)
{
    struct span list = span_of(s->own.adapters), name;
    size_t n = 0;

    if (add(v, model, 0, span_of(s->own.name)) == NULL)
        return ST_NOMEM;
    while (n < LOCAL_ADAPTERS_MAX && (name = local_adapters_name(&list)).len > 0) {
        if (add(v, model, ++n, name) == NULL)
            return ST_NOMEM;
    }
    return ST_OK;
}

void local_voices_release(struct local_voices *v)
{
    free(v->list);
    *v = (struct local_voices){.list = NULL};
}

static void write_identity(const struct local_voice *one, const struct local_settings *s,
                           const struct local_loading *l, char out[256])
{
    struct decoder_adapter_info info = {.id = ""};

    if (one->adapter > 0)
        decoder_adapter_info(l->adapters.list[one->adapter - 1].adapter, &info);
    snprintf(out, 256, "local:%s %s%s%s", l->info.id, s->own.chat_template,
             one->adapter > 0 ? " " : "", info.id);
}

void local_voices_identify(struct local_voices *v, size_t model, const struct local_settings *s,
                           const struct local_loading *l)
{
    for (size_t i = 0; i < v->count; i++) {
        struct local_voice *one = &v->list[i];

        if (one->model == model && one->adapter <= l->adapters.count)
            write_identity(one, s, l, one->identity);
    }
}

bool local_voices_match(const struct local_voices *v, size_t model,
                        const struct local_settings *s, const struct local_loading *l)
{
    char now[256];

    for (size_t i = 0; i < v->count; i++) {
        const struct local_voice *one = &v->list[i];

        if (one->model != model || one->adapter > l->adapters.count)
            continue;
        write_identity(one, s, l, now);
        if (strcmp(now, one->identity) != 0)
            return false;
    }
    return true;
}

static bool is_named(const struct local_voices *v, size_t i, struct span name)
{
    const struct local_voice *one = &v->list[i];
    struct span model = span_of(v->list[local_voices_main(v, one->model)].name);

    if (http_name_eq(name, span_of(one->name)))
        return true;
    return one->adapter > 0 && name.len > model.len + 1 && name.ptr[model.len] == ':' &&
           http_name_eq((struct span){name.ptr, model.len}, model) &&
           http_name_eq((struct span){name.ptr + model.len + 1, name.len - model.len - 1},
                        span_of(one->name));
}

bool local_voices_find(const struct local_voices *v, struct span name, size_t *voice)
{
    for (*voice = 0; *voice < v->count; ++*voice) {
        if (is_named(v, *voice, name))
            return true;
    }
    *voice = 0;
    return false;
}

size_t local_voices_main(const struct local_voices *v, size_t model)
{
    size_t i = 0;

    while (i + 1 < v->count && (v->list[i].model != model || v->list[i].adapter != 0))
        i++;
    return i;
}
