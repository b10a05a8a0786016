/* What a GGUF file says of its model, before any of it is loaded: for tools. The file is
 * mapped; a file of an architecture that is not computed is shown as far as it goes. */
#ifndef ENGINE_MODEL_FILE_H
#define ENGINE_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

#define MODEL_FILE_WORD 48 /* bytes of a name in the file */

struct model_file;

struct model_file_facts {
    char id[72]; /* as in struct model_info */
    char architecture[MODEL_FILE_WORD];
    char tokenizer[MODEL_FILE_WORD], pre_tokenizer[MODEL_FILE_WORD]; /* "" : none named */
    char chat_template[MODEL_FILE_WORD]; /* its family; "": none that is known */
    uint64_t layers, dimensions, feed_forward, heads, kv_heads, vocabulary; /* 0: not said */
    uint64_t context; /* tokens; 0: not said */
    uint64_t parameters, weights_bytes, file_bytes;
    /* Of a session with all of the context, and what a token more or less of it changes; 0
     * where the architecture is not computed. */
    uint64_t session_bytes, token_bytes;
    uint64_t tokenizer_bytes; /* with what encoding a prompt takes; 0: it is not supported */
    /* The architecture, the tokenizer and the chat template are; tensors are checked when the
     * model is opened. */
    bool supported;
    char why[512]; /* not supported: what is in the way */
};

struct model_file_tensor {
    struct span name; /* borrowed from the file; printable */
    const char *type; /* "Q4_K" */
    unsigned dims;
    uint64_t shape[4]; /* [0] is contiguous */
    uint64_t bytes;
};

/* A file that is broken is refused with the place. */
enum status model_file_open(const char *path, struct model_file **out,
                            struct engine_error *err) MUST_CHECK;
void model_file_close(struct model_file *f);

void model_file_read(const struct model_file *f, struct model_file_facts *out);
/* Is its architecture one of an encoder? */
bool model_file_is_encoder(const struct model_file *f);
size_t model_file_tensors(const struct model_file *f);
/* The i-th by name. */
struct model_file_tensor model_file_tensor(const struct model_file *f, size_t i);

#endif
