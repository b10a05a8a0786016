/* An importance matrix of a stranger. What is taken must give weights above zero. */
#include <math.h>
#include <stdlib.h>

#include "engine/importance.h"
#include "engine/importance_file.h"
#include "fuzz/measure.h"
#include "fuzz/memory_file.h"

/* Floats are kept as doubles. */
#define TAKEN_FIXED  (4u << 20)
#define TAKEN_FACTOR 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static void look_at(const struct importance_tensor *t)
{
    float *out = malloc((t->cols + 1) * sizeof(*out));

    must(out != NULL);
    for (size_t k = 0; k < t->matrices; k++) {
        bool any = importance_weights(t, k, out);

        for (size_t i = 0; any && i < t->cols; i++)
            must(isfinite(out[i]) && out[i] > 0);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span file = {(const char *)data, size};
    struct importance m;
    struct engine_error why;
    enum status st;

    importance_init(&m);
    measure_start();
    st = importance_file_load(&m, memory_file(file), &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * size);
    for (size_t i = 0; st == ST_OK && i < m.count; i++) {
        must(importance_find(&m, m.list[i].name) != NULL);
        look_at(&m.list[i]);
    }
    importance_release(&m);
    return 0;
}
