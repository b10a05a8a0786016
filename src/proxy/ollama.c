#include "proxy/ollama.h"

#include <stdio.h>
#include <string.h>

#include "base/json_writer.h"
#include "engine/engine.h"
#include "http/head.h"
#include "protocol/answer.h"
#include "proxy/local_models.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"

/* A model of ours. */
struct model {
    struct span name;
    struct model_info info;
    const char *capability;
    bool embeds;  /* the encoder */
    size_t model; /* else: of local_models_state() */
};

#define MODELS_MAX 64

static size_t models_of(const struct request *r, struct model out[MODELS_MAX])
{
    const struct proxy_parts *parts = &r->proxy->parts;
    size_t n = 0;

    for (size_t i = 0;
         parts->local != NULL && i < local_models_voices(parts->local) && n + 1 < MODELS_MAX;
         i++) {
        if (!local_models_is_listed(parts->local, i) ||
            local_models_identity(parts->local, i).len == 0)
            continue; /* missing or broken */
        out[n] = (struct model){.name = local_models_name(parts->local, i),
                                .capability = "completion",
                                .model = local_models_of(parts->local, i)};
        local_models_info(parts->local, i, &out[n++].info);
    }
    if (parts->embedder != NULL) {
        out[n] = (struct model){
            .name = parts->encoder_name, .capability = "embedding", .embeds = true};
        embedder_info(parts->embedder, &out[n++].info);
    }
    return n;
}

/* 134515008 -> "134.5M" */
static void write_size(struct json_writer *w, uint64_t parameters)
{
    char text[32];

    if (parameters >= 1000000000)
        snprintf(text, sizeof(text), "%.1fB", (double)parameters / 1e9);
    else
        snprintf(text, sizeof(text), "%.1fM", (double)parameters / 1e6);
    json_writer_text(w, "parameter_size", span_of(text));
}

static void write_details(struct json_writer *w, const struct model *m)
{
    struct span family = span_of(m->info.architecture);

    json_writer_open(w, "details", '{');
    json_writer_text(w, "parent_model", SPAN(""));
    json_writer_text(w, "format", SPAN(""));
    json_writer_text(w, "family", family);
    json_writer_open(w, "families", '[');
    json_writer_text(w, NULL, family);
    json_writer_close(w, ']');
    write_size(w, m->info.parameters);
    json_writer_text(w, "quantization_level", span_of(m->info.weights));
    json_writer_close(w, '}');
}

/* Since when we have it: since we began. */
static void write_time(struct json_writer *w, const struct request *r, const char *name)
{
    char text[ANSWER_RFC3339_BYTES];
    uint64_t began_s = r->proxy->account.started_wall_ms / 1000;

    json_writer_text(
        w, name, (struct span){text, answer_time_write(ANSWER_TIME_RFC3339, began_s, text)});
}

static void write_model(struct json_writer *w, const struct request *r, const struct model *m)
{
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "name", m->name);
    json_writer_text(w, "model", m->name);
    write_time(w, r, "modified_at");
    json_writer_u64(w, "size", m->info.memory_bytes);
    json_writer_text(w, "digest", span_of(m->info.id));
    write_details(w, m);
    json_writer_close(w, '}');
}

static bool is_loaded(const struct request *r, const struct model *m)
{
    struct local_models_state s;

    if (m->embeds)
        return true;
    local_models_state(r->proxy->parts.local, m->model, &s);
    return strcmp(s.word, "loaded") == 0;
}

static void write_list(struct json_writer *w, const struct request *r, bool loaded_only)
{
    struct model models[MODELS_MAX];
    size_t n = models_of(r, models);

    json_writer_open(w, NULL, '{');
    json_writer_open(w, "models", '[');
    for (size_t i = 0; i < n; i++) {
        if (!loaded_only || is_loaded(r, &models[i]))
            write_model(w, r, &models[i]);
    }
    json_writer_close(w, ']');
    json_writer_close(w, '}');
}

static void write_version(struct json_writer *w, const struct request *r)
{
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "version", r->proxy->parts.version);
    json_writer_close(w, '}');
}

static void respond(struct request *r, struct json_writer *w)
{
    if (w->st == ST_OK)
        respond_whole(r, 200, SPAN("application/json"), buf_span(w->out));
    else
        respond_error(r, 500, "server_error", "", "", "out of memory");
}

bool ollama_serve(struct request *r)
{
    struct json_writer w = {&r->proxy->scratch, ST_OK, false};
    struct span path = r->head->path;

    if (r->setup->upstreams != NULL || !span_eq(r->head->method, SPAN("GET")))
        return false;
    buf_clear(w.out);
    if (span_eq(path, SPAN("/api/tags")))
        write_list(&w, r, false);
    else if (span_eq(path, SPAN("/api/ps")))
        write_list(&w, r, true);
    else if (span_eq(path, SPAN("/api/version")))
        write_version(&w, r);
    else
        return false;
    r->source = SOURCE_LOCAL;
    respond(r, &w);
    return true;
}

static void write_show(struct json_writer *w, const struct request *r, const struct model *m)
{
    const char *architecture = m->info.architecture;
    char name[64];

    json_writer_open(w, NULL, '{');
    json_writer_text(w, "modelfile", SPAN(""));
    json_writer_text(w, "template", SPAN(""));
    write_details(w, m);
    json_writer_open(w, "model_info", '{');
    json_writer_text(w, "general.architecture", span_of(architecture));
    json_writer_u64(w, "general.parameter_count", m->info.parameters);
    snprintf(name, sizeof(name), "%s.context_length", architecture);
    json_writer_u64(w, name, m->info.context_max);
    snprintf(name, sizeof(name), "%s.embedding_length", architecture);
    json_writer_u64(w, name, m->info.dimensions);
    json_writer_close(w, '}');
    json_writer_open(w, "capabilities", '[');
    json_writer_text(w, NULL, span_of(m->capability));
    json_writer_close(w, ']');
    write_time(w, r, "modified_at");
    json_writer_close(w, '}');
}

void ollama_show(struct request *r)
{
    struct json_writer w = {&r->proxy->scratch, ST_OK, false};
    struct model models[MODELS_MAX];
    size_t n = models_of(r, models);
    char text[192];

    r->source = SOURCE_LOCAL;
    for (size_t i = 0; i < n; i++) {
        if (!http_name_eq(models[i].name, r->chat.model))
            continue;
        buf_clear(w.out);
        write_show(&w, r, &models[i]);
        respond(r, &w);
        return;
    }
    snprintf(text, sizeof(text), "model '%.*s' not found; GET /api/tags names those there are",
             (int)(r->chat.model.len < 64 ? r->chat.model.len : 64),
             r->chat.model.len > 0 ? r->chat.model.ptr : "");
    respond_error(r, 404, "invalid_request_error", "model_not_found", "model", text);
}
