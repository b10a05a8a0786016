#include "cli/local_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "config/config_models.h"
#include "config/model_path.h"
#include "engine/engine.h"
#include "proxy/decoder_settings.h"
#include "proxy/judge_case.h"

struct local_judge {
    struct decoder *decoder;
    struct decoder_session *session;
    struct arena texts;
    double bias;
};

static bool complain(const char *why)
{
    fprintf(stderr, "ibid: %s\n", why);
    return false;
}

/* A name of `models:` stands for its file. */
static void find_file(const struct config *c, const char *name, struct config_model *m)
{
    size_t i;

    if (config_models_find(c, span_of(name), &i))
        config_models_get(c, i, m);
    else
        snprintf(m->model, sizeof(m->model), "%s", name);
}

static bool open_model(struct local_judge *j, const struct config *c, const char *name)
{
    struct decoder_options o = decoder_settings(c);
    struct config_model m = {.chat_template = ""};
    struct engine_error err = {.text = ""};
    char path[CONFIG_TEXT_MAX];

    find_file(c, name, &m);
    o.sequences = 1;
    if (m.chat_template[0] != '\0')
        o.chat_template = m.chat_template;
    if (model_path_decoder(c->model_dir, m.model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        decoder_open(path, &o, &j->decoder, &err) != ST_OK)
        return complain(err.text);
    return decoder_session_open(j->decoder, (unsigned)c->local.threads, &j->session) == ST_OK
               ? true
               : complain("out of memory");
}

bool local_judge_open(const struct config *c, const char *model, struct local_judge **out)
{
    struct local_judge *j = calloc(1, sizeof(*j));

    if (j == NULL)
        return complain("out of memory");
    arena_init(&j->texts, 4096, 16 * JUDGE_LOCAL_BYTES);
    j->bias = c->judge.local_bias;
    if (model == NULL)
        model = c->judge.local_model[0] != '\0' ? c->judge.local_model : c->local.model;
    if (!open_model(j, c, model)) {
        local_judge_close(j);
        return false;
    }
    *out = j;
    return true;
}

void local_judge_close(struct local_judge *j)
{
    if (j == NULL)
        return;
    if (j->session != NULL)
        decoder_session_close(j->session);
    if (j->decoder != NULL)
        decoder_close(j->decoder);
    arena_release(&j->texts);
    free(j);
}

static void on_text(void *arg, struct span text)
{
    (void)arg;
    (void)text;
}

enum status local_judge_ask(struct local_judge *j, const struct judge_case *c, double *yes)
{
    struct decoder_turn turns[JUDGE_TURNS_MAX];
    struct decoder_request q = {.turns = turns,
                                .params = {.top_p = 1, .max_tokens = 1},
                                .words = judge_case_words,
                                .word_count = JUDGE_WORDS,
                                .no_guesses = true,
                                .on_text = on_text};
    struct decoder_result r;
    enum status st;

    arena_reset(&j->texts);
    st = judge_case_turns(c, &j->texts, turns, &q.turn_count);
    if (st == ST_OK)
        st = decoder_chat(j->session, &q, &r);
    if (st == ST_OK)
        *yes = judge_case_chance(&r, j->bias);
    return st;
}
