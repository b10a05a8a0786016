#include "proxy/local_voices.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/head.h"
#include "proxy/local_loading.h"

static bool is_free(const struct local_voice *one)
{
    return one->name[0] == '\0';
}

static enum status add_place(struct local_voices *v)
{
    struct local_voice **list = realloc(v->list, (v->count + 1) * sizeof(struct local_voice *));
    struct local_voice *one;

    if (list == NULL)
        return ST_NOMEM;
    v->list = list;
    one = malloc(sizeof(*one));
    if (one == NULL)
        return ST_NOMEM;
    *one = (struct local_voice){.retired = true};
    list[v->count++] = one;
    return ST_OK;
}

enum status local_voices_reserve(struct local_voices *v, size_t n)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < v->count && n > 0; i++)
        n -= is_free(v->list[i]);
    for (; st == ST_OK && n > 0; n--)
        st = add_place(v);
    return st;
}

static struct local_voice *add(struct local_voices *v, size_t model, size_t adapter,
                               struct span name)
{
    struct local_voice *one;
    size_t i = 0;

    while (!is_free(v->list[i]))
        i++;
    one = v->list[i];
    *one = (struct local_voice){.model = model, .adapter = adapter};
    snprintf(one->name, sizeof(one->name), "%.*s", (int)(name.len < 127 ? name.len : 127),
             name.ptr);
    return one;
}

/* By their names alone. */
static void add_unknown(struct local_voices *v, size_t model, const struct local_settings *s)
{
    struct span list = span_of(s->own.adapters), name;

    for (size_t n = 0; n < LOCAL_ADAPTERS_MAX && (name = local_adapters_name(&list)).len > 0;)
        (void)add(v, model, ++n, name);
}

enum status local_voices_add(struct local_voices *v, size_t model,
                             const struct local_settings *s)
{
    enum status st = local_voices_reserve(v, 1 + LOCAL_ADAPTERS_MAX);

    if (st != ST_OK)
        return st;
    (void)add(v, model, 0, span_of(s->own.name));
    add_unknown(v, model, s);
    return ST_OK;
}

static void take_off(struct local_voice *one)
{
    if (one->worn != NULL)
        decoder_adapter_close(one->worn);
    one->worn = NULL;
}

void local_voices_release(struct local_voices *v)
{
    for (size_t i = 0; i < v->count; i++) {
        take_off(v->list[i]);
        free(v->list[i]);
    }
    free(v->list);
    *v = (struct local_voices){.list = NULL};
}

static bool is_of(const struct local_voice *one, size_t model)
{
    return one->model == model && !one->retired;
}

static void write_identity(size_t adapter, const struct local_settings *s,
                           const struct model_info *model, const struct local_adapters *list,
                           char out[256])
{
    struct decoder_adapter_info info = {.id = ""};

    if (adapter > 0)
        decoder_adapter_info(list->list[adapter - 1].adapter, &info);
    snprintf(out, 256, "local:%s %s%s%s", model->id, s->own.chat_template,
             adapter > 0 ? " " : "", info.id);
}

void local_voices_identify(struct local_voices *v, size_t model, const struct local_settings *s,
                           const struct local_loading *l)
{
    for (size_t i = 0; i < v->count; i++) {
        struct local_voice *one = v->list[i];

        if (is_of(one, model) && one->adapter <= l->adapters.count)
            write_identity(one->adapter, s, &l->info, &l->adapters, one->identity);
    }
}

bool local_voices_match(const struct local_voices *v, size_t model,
                        const struct local_settings *s, const struct local_loading *l)
{
    char now[256];

    for (size_t i = 0; i < v->count; i++) {
        const struct local_voice *one = v->list[i];

        if (!is_of(one, model) || one->adapter > l->adapters.count)
            continue;
        write_identity(one->adapter, s, &l->info, &l->adapters, now);
        if (strcmp(now, one->identity) != 0)
            return false;
    }
    return true;
}

/* --- other adapters ----------------------------------------------------------------------- */

/* Nobody finds it any more; who holds it ends with what it began with. */
static void retire(struct local_voice *one, const struct local_adapters *loaded)
{
    if (loaded != NULL)
        one->worn = loaded->list[one->adapter - 1].adapter;
    one->retired = true;
    if (one->holders > 0)
        return;
    take_off(one);
    one->name[0] = '\0';
}

/* The place in `next` of what this voice is, from 1; 0: it is there no more. */
static size_t place_of(const struct local_voice *one, const struct local_settings *s,
                       const struct model_info *model, const struct local_adapters *next,
                       bool loaded)
{
    char identity[256];

    for (size_t i = 0; i < next->count; i++) {
        if (strcmp(next->list[i].name, one->name) != 0)
            continue;
        write_identity(i + 1, s, model, next, identity);
        /* In memory it is the same only where nothing was read anew. */
        return (!loaded || next->list[i].kept) && strcmp(identity, one->identity) == 0 ? i + 1
                                                                                       : 0;
    }
    return 0;
}

static void add_known(struct local_voices *v, size_t model, const struct local_settings *s,
                      const struct local_loading *found, const struct local_adapters *next,
                      const bool known[LOCAL_ADAPTERS_MAX])
{
    for (size_t i = 0; i < next->count; i++) {
        struct local_voice *one;

        if (known[i])
            continue;
        one = add(v, model, i + 1, span_of(next->list[i].name));
        write_identity(i + 1, s, &found->info, next, one->identity);
    }
}

void local_voices_change(struct local_voices *v, size_t model, const struct local_settings *s,
                         const struct local_loading *found, const struct local_adapters *next,
                         const struct local_adapters *loaded)
{
    bool known[LOCAL_ADAPTERS_MAX] = {false};

    for (size_t i = 0; i < v->count; i++) {
        struct local_voice *one = v->list[i];
        size_t place;

        if (!is_of(one, model) || one->adapter == 0)
            continue;
        place = found != NULL ? place_of(one, s, &found->info, next, loaded != NULL) : 0;
        if (place == 0) {
            retire(one, loaded);
        } else {
            one->adapter = place;
            known[place - 1] = true;
        }
    }
    if (found != NULL)
        add_known(v, model, s, found, next, known);
    else
        add_unknown(v, model, s);
}

void local_voices_strip(struct local_voices *v, size_t model)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i]->retired && v->list[i]->model == model)
            take_off(v->list[i]);
    }
}

void local_voices_hold(struct local_voices *v, size_t voice)
{
    v->list[voice]->holders++;
}

void local_voices_drop(struct local_voices *v, size_t voice)
{
    struct local_voice *one = v->list[voice];

    assert(one->holders > 0);
    one->holders--;
    if (one->retired && one->holders == 0) {
        take_off(one);
        one->name[0] = '\0';
    }
}

bool local_voices_is_listed(const struct local_voices *v, size_t voice)
{
    return !v->list[voice]->retired;
}

/* --- finding ------------------------------------------------------------------------------ */

static bool is_named(const struct local_voices *v, size_t i, struct span name)
{
    const struct local_voice *one = v->list[i];
    struct span model;

    if (one->retired)
        return false;
    if (http_name_eq(name, span_of(one->name)))
        return true;
    model = span_of(v->list[local_voices_main(v, one->model)]->name);
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

    while (i + 1 < v->count && (v->list[i]->model != model || v->list[i]->adapter != 0))
        i++;
    return i;
}
