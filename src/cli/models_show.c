#include "cli/models_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "engine/model_file.h"

#define MIB       1048576.0
#define TEXT_MAX  65536
#define SHAPE_MAX 96

struct number {
    const char *name;
    uint64_t value;
};

/* The figures that both forms print. */
#define NUMBERS(f)                                                                             \
    {                                                                                          \
        {"layers", (f)->layers}, {"dimensions", (f)->dimensions},                              \
            {"feed_forward", (f)->feed_forward}, {"heads", (f)->heads},                        \
            {"kv_heads", (f)->kv_heads}, {"vocabulary", (f)->vocabulary},                      \
            {"context", (f)->context}, {"parameters", (f)->parameters},                        \
    }

static void shape_text(const struct model_file_tensor *t, const char *between,
                       char out[SHAPE_MAX])
{
    size_t at = 0;

    for (unsigned i = 0; i < t->dims && at < SHAPE_MAX; i++)
        at += (size_t)snprintf(out + at, SHAPE_MAX - at, "%s%" PRIu64, i > 0 ? between : "",
                               t->shape[i]);
}

/* --- a table ---------------------------------------------------------------------------- */

static void print_table(const char *path, const struct model_file_facts *f)
{
    const struct number numbers[] = NUMBERS(f);

    printf("path: %s\n", path);
    printf("id: %s\narchitecture: %s\n", f->id, f->architecture);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (numbers[i].value > 0)
            printf("%s: %" PRIu64 "\n", numbers[i].name, numbers[i].value);
    }
    printf("tokenizer: %s%s%s\nchat template: %s\n", f->tokenizer,
           f->pre_tokenizer[0] != '\0' ? ", " : "", f->pre_tokenizer,
           f->chat_template[0] != '\0' ? f->chat_template
                                       : "none that is known; local.chat_template names one");
    printf("weights: %.1f MiB\n", (double)f->weights_bytes / MIB);
    if (f->session_bytes > 0)
        printf("session: %.1f MiB with all of the context; %.1f KiB a token of it\n"
               "tokenizer: %.1f MiB, with what a prompt takes\n"
               "memory: %.1f MiB\n",
               (double)f->session_bytes / MIB, (double)f->token_bytes / 1024,
               (double)f->tokenizer_bytes / MIB,
               (double)(f->file_bytes + f->session_bytes + f->tokenizer_bytes) / MIB);
    if (!f->supported)
        printf("not supported: %s\n", f->why);
}

static void print_tensors(const struct model_file *file)
{
    char shape[SHAPE_MAX];

    for (size_t i = 0; i < model_file_tensors(file); i++) {
        struct model_file_tensor t = model_file_tensor(file, i);

        shape_text(&t, " x ", shape);
        printf("tensor: %-40.*s %-7s %16s %12" PRIu64 "\n", (int)t.name.len, t.name.ptr, t.type,
               shape, t.bytes);
    }
}

/* --- JSON ------------------------------------------------------------------------------- */

static void print_string(const char *name, struct span text)
{
    struct buf quoted;

    buf_init(&quoted, TEXT_MAX);
    if (json_write_string(&quoted, text) == ST_OK)
        printf("\"%s\":%.*s", name, (int)quoted.len, quoted.ptr);
    buf_release(&quoted);
}

static void print_json_tensors(const struct model_file *file)
{
    char shape[SHAPE_MAX];

    printf(",\"tensors\":[");
    for (size_t i = 0; i < model_file_tensors(file); i++) {
        struct model_file_tensor t = model_file_tensor(file, i);

        printf(i > 0 ? ",{" : "{");
        print_string("name", t.name);
        shape_text(&t, ",", shape);
        printf(",\"type\":\"%s\",\"shape\":[%s],\"bytes\":%" PRIu64 "}", t.type, shape,
               t.bytes);
    }
    printf("]");
}

static void print_json(const char *path, const struct model_file_facts *f,
                       const struct model_file *tensors)
{
    const struct number numbers[] = NUMBERS(f);

    printf("{");
    print_string("path", span_of(path));
    printf(",\"id\":\"%s\",\"architecture\":\"%s\",\"tokenizer\":\"%s\","
           "\"pre_tokenizer\":\"%s\",\"chat_template\":\"%s\"",
           f->id, f->architecture, f->tokenizer, f->pre_tokenizer, f->chat_template);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        printf(",\"%s\":%" PRIu64, numbers[i].name, numbers[i].value);
    printf(",\"file_bytes\":%" PRIu64 ",\"weights_bytes\":%" PRIu64
           ",\"session_bytes\":%" PRIu64 ",\"token_bytes\":%" PRIu64
           ",\"tokenizer_bytes\":%" PRIu64 ",\"supported\":%s,",
           f->file_bytes, f->weights_bytes, f->session_bytes, f->token_bytes,
           f->tokenizer_bytes, f->supported ? "true" : "false");
    print_string("why", span_of(f->why));
    if (tensors != NULL)
        print_json_tensors(tensors);
    printf("}\n");
}

/* --- the whole -------------------------------------------------------------------------- */

int models_show_encoder(const char *path, const struct models_show_options *o)
{
    const struct encoder_options wanted = {.precision = ENCODER_INT8};
    struct engine_error err = {.text = ""};
    struct model_info m;
    struct encoder *e;

    if (encoder_open(path, &wanted, &e, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    encoder_info(e, &m);
    encoder_close(e);
    if (o->json) {
        printf("{");
        print_string("path", span_of(path));
        printf(
            ",\"id\":\"%s\",\"architecture\":\"%s\",\"weights\":\"%s\",\"parameters\":%" PRIu64
            ",\"memory_bytes\":%" PRIu64
            ",\"dimensions\":%u,\"context\":%u,\"vocabulary\":%u,\"supported\":true}\n",
            m.id, m.architecture, m.weights, m.parameters, m.memory_bytes, m.dimensions,
            m.context_max, m.vocabulary);
        return 0;
    }
    printf("path: %s\nid: %s\narchitecture: %s\nweights: %s\nparameters: %" PRIu64
           "\nmemory: %.1f MiB\ndimensions: %u\ncontext: %u\nvocabulary: %u\n",
           path, m.id, m.architecture, m.weights, m.parameters, (double)m.memory_bytes / MIB,
           m.dimensions, m.context_max, m.vocabulary);
    return 0;
}

int models_show_gguf(const char *path, const struct models_show_options *o)
{
    struct engine_error err = {.text = ""};
    struct model_file_facts facts;
    struct model_file *file;

    if (model_file_open(path, &file, &err) != ST_OK) {
        fprintf(stderr, "ibid: '%s': %s\n", path, err.text);
        return 1;
    }
    model_file_read(file, &facts);
    if (o->json)
        print_json(path, &facts, o->tensors ? file : NULL);
    else
        print_table(path, &facts);
    if (o->tensors && !o->json)
        print_tensors(file);
    model_file_close(file);
    return 0;
}
