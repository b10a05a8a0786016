/* A LoRA adapter of a stranger, beside a model that is known to be good. What is taken must
 * also compute. */
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "fuzz/measure.h"
#include "fuzz/memory_file.h"
#include "tiny_llama.h"

/* Its matrices are kept as floats: of 4 bits they take seven times the file's. */
#define TAKEN_FIXED  (2u << 20)
#define TAKEN_FACTOR 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

/* Kept to the end. */
static struct decoder *open_model(void)
{
    const struct decoder_options o = {.context_max = 32, .memory_max_bytes = 64u << 20};
    struct tiny_llama model;
    struct engine_error why;
    struct decoder *d;
    struct buf file;
    char path[64];

    buf_init(&file, 4u << 20);
    tiny_llama_init(&model, 8, 32, NULL, &file);
    gguf_writer_save(buf_span(&file), path);
    must(decoder_open(path, &o, &d, &why) == ST_OK);
    unlink(path);
    buf_release(&file);
    tiny_llama_release(&model);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t ids[] = {1, 70, 7, 200};
    static struct decoder *model;
    struct decoder_adapter_info info;
    struct decoder_adapter *a;
    struct decoder_session *s;
    struct engine_error why;
    enum status st;

    if (model == NULL)
        model = open_model();
    measure_start();
    st = decoder_adapter_open(model, memory_file((struct span){(const char *)data, size}), &a,
                              &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * size);
    if (st != ST_OK)
        return 0;
    decoder_adapter_info(a, &info);
    must(info.matrices > 0 && info.rank > 0);
    must(decoder_session_open(model, 1, &s) == ST_OK);
    decoder_session_adapt(s, a);
    must(decoder_prefill(s, ids, 4, (struct engine_stop){NULL, NULL}) == ST_OK);
    must(decoder_step(s, 9) == ST_OK);
    decoder_session_close(s);
    decoder_adapter_close(a);
    return 0;
}
