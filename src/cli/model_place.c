#include "cli/model_place.h"

#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/model_file.h"

static bool is_gguf(const char *model)
{
    size_t n = strlen(model);

    return n > 5 && strcmp(model + n - 5, ".gguf") == 0;
}

/* A file that cannot be read is said to be so by whoever opens it. */
static bool holds_encoder(const char *path)
{
    struct engine_error err;
    struct model_file *f;
    bool yes;

    if (!is_gguf(path) || model_file_open(path, &f, &err) != ST_OK)
        return false;
    yes = model_file_is_encoder(f);
    model_file_close(f);
    return yes;
}

static bool is_decoder(const char *model)
{
    struct manifest *list = malloc(sizeof(*list));
    const struct manifest_model *m;
    bool yes = is_gguf(model) && !holds_encoder(model);

    if (list == NULL)
        return yes;
    manifest_builtin(list);
    m = manifest_find(list, model);
    if (m != NULL)
        yes = strcmp(m->kind, "decoder") == 0;
    free(list);
    return yes;
}

enum status model_place_find(const struct config *c, const char *model, struct model_place *out,
                             struct engine_error *err)
{
    out->decoder = is_decoder(model);
    if (out->decoder)
        return model_path_decoder(c->model_dir, model, out->path, sizeof(out->path), err->text,
                                  sizeof(err->text));
    return model_path_encoder(c->model_dir, model, out->path, sizeof(out->path), err->text,
                              sizeof(err->text));
}
