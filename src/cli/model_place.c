#include "cli/model_place.h"

#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"
#include "config/config.h"
#include "config/model_path.h"

static bool is_decoder(const char *model)
{
    struct manifest *list = malloc(sizeof(*list));
    const struct manifest_model *m;
    size_t n = strlen(model);
    bool yes = n > 5 && strcmp(model + n - 5, ".gguf") == 0;

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
