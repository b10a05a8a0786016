/* Weights of a stranger. A header alone ('{' first) gets the data of a small encoder, all
 * zeros, so that few bytes reach far. */
#include <stdlib.h>
#include <string.h>

#include "engine/encoder_forward.h"
#include "engine/encoder_load.h"
#include "engine/safetensors.h"
#include "fuzz/measure.h"
#include "fuzz/memory_file.h"

#define TAKEN_FIXED  (1u << 20)
#define TAKEN_FACTOR 64

#define DATA_BYTES 51840 /* of the encoder below, in F16 (engine_corpus.py) */
#define FLOATS     256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(struct safetensors *s, const struct tensor *t)
{
    struct engine_error why;
    float out[FLOATS];
    size_t n = t->bytes / 4 < FLOATS ? (size_t)t->bytes / 4 : FLOATS;

    (void)!safetensors_floats(s, t, 0, n, out, &why);
    (void)!safetensors_floats(s, t, (size_t)t->bytes, 1, out, &why);
}

static void load_encoder(struct encoder_tensors *t, enum encoder_precision precision)
{
    static const uint32_t ids[] = {1, 0, 3, 2, 1};
    static const size_t lengths[] = {3, 2};
    struct encoder_weights w = {
        .shape = {.architecture = encoder_architecture_find(SPAN("bert")),
                  .d = 64,
                  .ffn = 64,
                  .heads = 4,
                  .layers = 1,
                  .positions = 4,
                  .types = 1,
                  .words = 4,
                  .eps = 1e-12f},
        .precision = precision,
        .window = 4};
    struct encoder_scratch scratch;
    struct engine_error why;

    if (encoder_load(&w, t, 0, 1u << 24, &why) == ST_OK) {
        encoder_forward_init(&scratch, &w);
        if (encoder_forward(&scratch, ids, lengths, 2, 5, (struct engine_stop){NULL, NULL}) !=
            ST_OK)
            abort();
        encoder_forward_release(&scratch);
    }
    encoder_load_release(&w);
}

/* The table's own sizes count. */
static void load_static(struct encoder_tensors *t, enum encoder_precision precision)
{
    static const uint32_t ids[] = {0, 0};
    static const size_t lengths[] = {2};
    struct encoder_weights w = {
        .shape = {.architecture = encoder_architecture_find(SPAN("static"))},
        .precision = precision,
        .window = 4};
    struct encoder_scratch scratch;
    struct engine_error why;

    if (encoder_load_shape(&w.shape, t, &why) != ST_OK)
        return;
    if (encoder_load(&w, t, 0, 1u << 24, &why) == ST_OK) {
        encoder_forward_init(&scratch, &w);
        if (encoder_forward(&scratch, ids, lengths, 1, 2, (struct engine_stop){NULL, NULL}) !=
            ST_OK)
            abort();
        encoder_forward_release(&scratch);
    }
    encoder_load_release(&w);
}

static void check(struct span file)
{
    struct engine_error why;
    struct encoder_tensors t;
    enum status st;

    measure_start();
    st = encoder_tensors_open(memory_file(file), 0, &t, &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * file.len);
    if (st != ST_OK)
        return;
    for (size_t i = 0; t.format == ENCODER_SAFETENSORS && i < t.safetensors.count; i++)
        read_tensor(&t.safetensors, &t.safetensors.list[i]);
    load_encoder(&t, ENCODER_INT8);
    load_encoder(&t, ENCODER_F32);
    load_static(&t, ENCODER_INT8);
    load_static(&t, ENCODER_F32);
    encoder_tensors_close(&t);
}

static void check_header(struct span header)
{
    size_t bytes = 8 + header.len + DATA_BYTES;
    uint64_t length = header.len;
    char *file = calloc(1, bytes);

    if (file == NULL)
        abort();
    memcpy(file, &length, sizeof(length));
    memcpy(file + 8, header.ptr, header.len);
    check((struct span){file, bytes});
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == '{')
        check_header((struct span){(const char *)data, size});
    else
        check((struct span){(const char *)data, size});
    return 0;
}
