#include "config/config_models.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "config/model_path.h"

static bool has_local(const struct config *c)
{
    return c->local.model[0] != '\0' && strcmp(c->local.model, "off") != 0;
}

size_t config_models_count(const struct config *c)
{
    return c->model_count + has_local(c);
}

static void get_local(const struct config *c, struct config_model *out)
{
    *out = (struct config_model){.context_max = c->local.context_max,
                                 .max_tokens = c->local.max_tokens,
                                 .json = true,
                                 .code = true,
                                 .confidence_min = c->route.confidence_min};
    model_path_name(c->local.model, out->name, sizeof(out->name));
    memcpy(out->model, c->local.model, sizeof(out->model));
    memcpy(out->chat_template, c->local.chat_template, sizeof(out->chat_template));
    memcpy(out->adapters, c->local.adapters, sizeof(out->adapters));
    memcpy(out->load, c->local.load, sizeof(out->load));
}

void config_models_get(const struct config *c, size_t i, struct config_model *out)
{
    if (has_local(c) && i == 0) {
        get_local(c, out);
        return;
    }
    *out = c->models[i - has_local(c)];
    if (out->context_max == 0)
        out->context_max = c->local.context_max;
    if (out->max_tokens == 0)
        out->max_tokens = c->local.max_tokens;
    if (out->confidence_min < 0)
        out->confidence_min = c->route.confidence_min;
}

bool config_models_find(const struct config *c, struct span name, size_t *i)
{
    for (size_t k = 0; k < config_models_count(c); k++) {
        struct config_model m;

        config_models_get(c, k, &m);
        if (strlen(m.name) == name.len && strncasecmp(m.name, name.ptr, name.len) == 0) {
            *i = k;
            return true;
        }
    }
    return false;
}

static bool is_word(struct span a, struct span b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static bool has_adapter(const struct config_model *m, struct span name)
{
    struct span list = span_of(m->adapters), own = span_of(m->name), word;

    if (name.len > own.len + 1 && name.ptr[own.len] == ':' &&
        is_word((struct span){name.ptr, own.len}, own)) {
        name.ptr += own.len + 1;
        name.len -= own.len + 1;
    }
    while ((word = config_word(&list)).len > 0) {
        const char *equals = memchr(word.ptr, '=', word.len);

        if (equals != NULL &&
            is_word((struct span){word.ptr, (size_t)(equals - word.ptr)}, name))
            return true;
    }
    return false;
}

bool config_models_adapter(const struct config *c, struct span name, size_t *i)
{
    for (size_t k = 0; k < config_models_count(c); k++) {
        struct config_model m;

        config_models_get(c, k, &m);
        if (has_adapter(&m, name)) {
            *i = k;
            return true;
        }
    }
    return false;
}

struct span config_models_named(const char *to)
{
    static const char start[] = "local:";
    size_t n = sizeof(start) - 1;

    return strncmp(to, start, n) == 0 ? span_of(to + n) : (struct span){NULL, 0};
}

static enum status fail(struct config_error *err, const char *format, ...) PRINTF_LIKE(2, 3);

static enum status fail(struct config_error *err, const char *format, ...)
{
    va_list args;

    *err = (struct config_error){.line = 0};
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return ST_INVALID;
}

static enum status check_model(const struct config *c, size_t i, struct config_error *err)
{
    struct config_model m;
    size_t first;

    config_models_get(c, i, &m);
    if (!config_models_find(c, span_of(m.name), &first) || first != i)
        return fail(err, "models: '%.60s' is the name of two", m.name);
    if (m.name[strcspn(m.name, " \t/:")] != '\0')
        return fail(err, "models: '%.60s': a name has no blank, '/' or ':'", m.name);
    if (m.max_tokens >= m.context_max)
        return fail(err,
                    "models: %.60s: max_tokens %llu leaves no room for a question in "
                    "context_max %llu",
                    m.name, (unsigned long long)m.max_tokens,
                    (unsigned long long)m.context_max);
    return ST_OK;
}

static enum status check_name(const struct config *c, const char *who, struct span name,
                              struct config_error *err)
{
    size_t i;

    if (config_models_find(c, name, &i))
        return ST_OK;
    return fail(
        err,
        "%s: there is no model '%.*s'; models and local.model name those there are, and "
        "their adapters",
        who, (int)(name.len < 60 ? name.len : 60), name.ptr);
}

static enum status check_to(const struct config *c, const struct config_route *rule,
                            struct config_error *err)
{
    struct span name = config_models_named(rule->to);
    char who[96];
    size_t i;

    if (strcmp(rule->to, "local") == 0 || strcmp(rule->to, "upstream") == 0 ||
        strcmp(rule->to, "classifier") == 0)
        return ST_OK;
    snprintf(who, sizeof(who), "routes: %s: to", rule->name);
    if (name.len == 0)
        return fail(err, "%s: '%.60s' is not local, local:NAME, upstream or classifier", who,
                    rule->to);
    return config_models_adapter(c, name, &i) ? ST_OK : check_name(c, who, name, err);
}

enum status config_models_check(const struct config *c, struct config_error *err)
{
    struct span list = span_of(c->route.ladder), word;
    enum status st = ST_OK;

    /* Of local.model alone the other checks speak, and it may be a path. */
    for (size_t i = 0; c->model_count > 0 && st == ST_OK && i < config_models_count(c); i++)
        st = check_model(c, i, err);
    while (st == ST_OK && (word = config_word(&list)).len > 0)
        st = check_name(c, "route.ladder", word, err);
    for (size_t i = 0; st == ST_OK && i < c->route_count; i++)
        st = check_to(c, &c->routes[i], err);
    return st;
}
