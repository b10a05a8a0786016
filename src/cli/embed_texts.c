#include "cli/embed_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/encoder_settings.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/engine.h"

#define BATCH 64

static bool all_embedded(const enum status *each, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (each[i] == ST_OK)
            continue;
        fprintf(stderr, "ibid: text %zu: %s\n", i + 1,
                each[i] == ST_LIMIT      ? "is longer than the encoder's window"
                : each[i] == ST_NOTFOUND ? "has no word that the encoder knows"
                                         : status_text(each[i]));
        return false;
    }
    return true;
}

static bool embed(const struct encoder *e, const struct span *texts, size_t count,
                  size_t dimensions, float *out, enum status *each)
{
    const struct engine_stop never = {NULL, NULL};
    struct encoder_session *s;
    enum status st = ST_OK;

    if (encoder_session_open(e, &s) != ST_OK) {
        fprintf(stderr, "ibid: out of memory\n");
        return false;
    }
    for (size_t i = 0; i < count && st == ST_OK; i += BATCH) {
        size_t n = count - i < BATCH ? count - i : BATCH;

        st = encoder_embed(s, texts + i, n, out + i * dimensions, each + i, never);
    }
    if (st != ST_OK)
        fprintf(stderr, "ibid: the encoder failed: %s\n", status_text(st));
    encoder_session_close(s);
    return st == ST_OK;
}

static bool open_encoder(const struct config *c, const char *model, const char *precision,
                         struct encoder **out)
{
    struct encoder_options o = encoder_settings(c);
    struct engine_error err = {.text = ""};
    char path[CONFIG_TEXT_MAX];

    if (precision != NULL)
        o.precision = strcmp(precision, "f32") == 0 ? ENCODER_F32 : ENCODER_INT8;
    if (model_path_encoder(c->model_dir, model != NULL ? model : c->encoder.model, path,
                           sizeof(path), err.text, sizeof(err.text)) == ST_OK &&
        encoder_open(path, &o, out, &err) == ST_OK)
        return true;
    fprintf(stderr, "ibid: %s\n", err.text);
    return false;
}

/* The encoder stays open, the vectors are the caller's. */
static bool embed_all(const struct encoder *e, const struct span *texts, size_t count,
                      float **vectors, size_t *dimensions, enum status *each)
{
    struct model_info info;
    float *v;

    encoder_info(e, &info);
    v = malloc(count * info.dimensions * sizeof(*v));
    if (v == NULL)
        fprintf(stderr, "ibid: out of memory\n");
    if (v == NULL || !embed(e, texts, count, info.dimensions, v, each)) {
        free(v);
        return false;
    }
    *vectors = v;
    *dimensions = info.dimensions;
    return true;
}

bool embed_texts(const struct config *c, const char *model, const char *precision,
                 const struct span *texts, size_t count, float **vectors, size_t *dimensions)
{
    enum status *each = calloc(count, sizeof(*each));
    struct encoder *e;
    bool ok;

    if (each == NULL)
        fprintf(stderr, "ibid: out of memory\n");
    if (each == NULL || !open_encoder(c, model, precision, &e)) {
        free(each);
        return false;
    }
    ok = embed_all(e, texts, count, vectors, dimensions, each);
    encoder_close(e);
    if (ok && !all_embedded(each, count)) {
        free(*vectors);
        ok = false;
    }
    free(each);
    return ok;
}

bool embed_texts_each(const struct config *c, const char *model, const struct span *texts,
                      size_t count, float **vectors, size_t *dimensions, enum status *each,
                      char *encoder, size_t encoder_cap)
{
    struct model_info info;
    struct encoder *e;
    bool ok;

    if (!open_encoder(c, model, NULL, &e))
        return false;
    encoder_info(e, &info);
    snprintf(encoder, encoder_cap, "%s %s", info.id, info.weights);
    ok = embed_all(e, texts, count, vectors, dimensions, each);
    encoder_close(e);
    return ok;
}
