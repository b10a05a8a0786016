#include "proxy/local_loading.h"

#include <stdio.h>
#include <string.h>

#include "config/config_models.h"
#include "config/model_path.h"
#include "proxy/decoder_settings.h"

static bool is_off(const char *model)
{
    return model[0] == '\0' || strcmp(model, "off") == 0;
}

static enum work_rank rank_of(const char *priority)
{
    return strcmp(priority, "idle") == 0  ? WORK_LAST
           : strcmp(priority, "low") == 0 ? WORK_BEHIND
                                          : WORK_EQUAL;
}

void local_loading_settings(const struct config *c, size_t i, struct local_settings *out)
{
    *out = (struct local_settings){.decoder = decoder_settings(c)};
    config_models_get(c, i, &out->own);
    memcpy(out->model_dir, c->model_dir, sizeof(out->model_dir));
    /* It has the vocabulary of one of them. */
    if (strcmp(out->own.model, c->local.model) == 0)
        memcpy(out->guess_model, c->local.guess_model, sizeof(out->guess_model));
    out->decoder.context_max = (uint32_t)out->own.context_max;
    out->decoder.chat_template = NULL;
    /* At least a context, as local.cache_tokens says. */
    if (out->decoder.cache_tokens < out->decoder.context_max)
        out->decoder.cache_tokens = out->decoder.context_max;
    out->model = (struct local_model_options){.workers = (unsigned)c->local.workers,
                                              .threads = (unsigned)c->local.threads,
                                              .sequences = (unsigned)c->local.sequences,
                                              .queue_max = (unsigned)c->local.queue_max,
                                              .rank = rank_of(c->local.priority),
                                              .cpu_share = c->local.cpu_share,
                                              .max_tokens = (uint32_t)out->own.max_tokens};
}

/* A model that can not guess for the other is left out, with a word. */
static void open_guesser(const struct local_settings *s, const struct decoder_options *o,
                         struct local_loading *l)
{
    struct engine_error err = {{0}};
    struct model_info small;
    char path[CONFIG_TEXT_MAX];

    if (is_off(s->guess_model) || o->guessing == DECODER_GUESS_NEVER)
        return;
    if (model_path_decoder(s->model_dir, s->guess_model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        decoder_open(path, o, &l->guesser, &err) != ST_OK) {
        snprintf(l->guesser_trouble, sizeof(l->guesser_trouble), "%.255s", err.text);
        return;
    }
    decoder_info(l->guesser, &small);
    if (small.context_max >= l->info.context_max &&
        decoder_same_vocabulary(l->decoder, l->guesser))
        return;
    snprintf(
        l->guesser_trouble, sizeof(l->guesser_trouble),
        "local.guess_model has not the vocabulary of local.model, or a shorter context; it "
        "guesses nothing");
    decoder_close(l->guesser);
    l->guesser = NULL;
}

static enum status open_workers(const struct local_settings *s, struct local_loading *l,
                                struct engine_error *err)
{
    struct local_model_options o = s->model;
    enum status st;

    o.guesser = l->guesser;
    st = local_model_open(l->decoder, &o, &l->model);
    if (st != ST_OK)
        snprintf(err->text, sizeof(err->text), "no thread for the model could be started");
    return st;
}

/* What is wrong with a file's parts is told without its name. */
static void name_file(const char *path, struct engine_error *err)
{
    struct engine_error why = *err;

    if (strstr(why.text, path) == NULL)
        snprintf(err->text, sizeof(err->text), "'%.200s': %.300s", path, why.text);
}

uint64_t local_loading_memory(const struct local_loading *l, const struct local_settings *s)
{
    return decoder_memory(l->decoder, s->model.workers) +
           (l->guesser != NULL ? decoder_memory(l->guesser, s->model.workers) : 0);
}

enum status local_loading_open(const struct local_settings *s, bool look,
                               struct local_loading *out, struct engine_error *err)
{
    struct decoder_options o = s->decoder;
    struct local_loading l = {.decoder = NULL};
    char path[CONFIG_TEXT_MAX];
    enum status st = model_path_decoder(s->model_dir, s->own.model, path, sizeof(path),
                                        err->text, sizeof(err->text));

    o.look = look;
    if (s->own.chat_template[0] != '\0')
        o.chat_template = s->own.chat_template;
    if (st != ST_OK)
        return st;
    st = decoder_open(path, &o, &l.decoder, err);
    if (st != ST_OK) {
        name_file(path, err);
        return st;
    }
    decoder_info(l.decoder, &l.info);
    model_speeds_get(s->model_dir, path, &l.speed);
    open_guesser(s, &o, &l);
    /* Without one of its adapters the model would answer for it, wrongly and without a word. */
    st = local_adapters_open(s->own.adapters, s->own.name, l.decoder, &l.adapters, err);
    l.memory_bytes = local_loading_memory(&l, s);
    if (st == ST_OK && !look)
        st = open_workers(s, &l, err);
    if (st != ST_OK) {
        local_loading_close(&l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void local_loading_close(struct local_loading *l)
{
    if (l->model != NULL)
        local_model_close(l->model);
    local_adapters_close(&l->adapters);
    if (l->decoder != NULL)
        decoder_close(l->decoder);
    if (l->guesser != NULL)
        decoder_close(l->guesser);
    *l = (struct local_loading){.decoder = NULL};
}
