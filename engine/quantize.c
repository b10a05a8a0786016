/* Which tensor gets which type follows llama.cpp's mixtures (src/llama-quant.cpp of
 * 0c1e57098bba): matrices only, no norms and no routers; the output head finer; of the
 * mixtures "M" also values and the second half of the feed-forward of some layers. IQ2_XS mixes
 * Q4_K and Q5_K where llama.cpp has Q2_K. */
#include "engine/quantize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/format.h"
#include "engine/format_pack.h"
#include "engine/gguf.h"
#include "engine/gguf_save.h"
#include "engine/importance.h"
#include "engine/new_file.h"
#include "engine/threads.h"

#define ARENA_LIMIT (256u * 1024 * 1024)
#define PIECE_BYTES (4u * 1024 * 1024) /* of floats at a time, a row at the least */

/* Which matrices of which layers get the finer type as well. */
enum mixture {
    MIX_NONE,
    MIX_MEDIUM, /* values and what goes down, in some layers */
    MIX_LOW,    /* values, and what goes down in the first eighth: two bits are few */
};

/* clang-format off */
static const struct recipe {
    const char *name;
    uint32_t type, fine, head, words; /* words: of an embedding table that is no head */
    uint32_t file_type;               /* llama.cpp's number of the mixture */
    enum mixture mixture;
} recipes[] = {
    {"F16",    FORMAT_F16,    FORMAT_F16,  FORMAT_F16,  FORMAT_F16,    1,  MIX_NONE},
    {"Q8_0",   FORMAT_Q8_0,   FORMAT_Q8_0, FORMAT_Q8_0, FORMAT_Q8_0,   7,  MIX_NONE},
    {"Q4_0",   FORMAT_Q4_0,   FORMAT_Q4_0, FORMAT_Q6_K, FORMAT_Q4_0,   2,  MIX_NONE},
    {"Q4_K_M", FORMAT_Q4_K,   FORMAT_Q6_K, FORMAT_Q6_K, FORMAT_Q4_K,   15, MIX_MEDIUM},
    {"Q5_K_M", FORMAT_Q5_K,   FORMAT_Q6_K, FORMAT_Q6_K, FORMAT_Q5_K,   17, MIX_MEDIUM},
    {"Q6_K",   FORMAT_Q6_K,   FORMAT_Q6_K, FORMAT_Q6_K, FORMAT_Q6_K,   18, MIX_NONE},
    {"IQ4_NL", FORMAT_IQ4_NL, FORMAT_Q6_K, FORMAT_Q6_K, FORMAT_IQ4_NL, 25, MIX_NONE},
    {"IQ2_XS", FORMAT_IQ2_XS, FORMAT_Q4_K, FORMAT_Q5_K, FORMAT_Q4_K,   20, MIX_LOW},
    {"TQ2_0",  FORMAT_TQ2_0,  FORMAT_Q6_K, FORMAT_Q6_K, FORMAT_Q4_K,   37, MIX_NONE},
};
/* clang-format on */

struct quantizer {
    const struct quantize_options *o;
    const struct recipe *recipe;
    struct engine_error *err;
    struct file file;   /* owned */
    struct arena arena; /* what was read of it, and types */
    struct gguf g;
    uint32_t *types; /* [tensor_count], in the arena */
    uint64_t layers;
    struct threads *threads; /* owned */
    struct quantize_result result;
};

const char *quantize_known(void)
{
    return "F16, Q8_0, Q4_0, Q4_K_M, Q5_K_M, Q6_K, IQ4_NL, IQ2_XS, TQ2_0";
}

static const struct recipe *find_recipe(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
        if (strcmp(recipes[i].name, name) == 0)
            return &recipes[i];
    }
    return NULL;
}

enum status quantize_check(const struct quantize_options *o, bool importance,
                           struct engine_error *err)
{
    const struct recipe *r = find_recipe(o->type);

    if (r == NULL)
        return error_set(err, ST_INVALID, "there is no quantizing to '%s'; to: %s", o->type,
                         quantize_known());
    if (r->mixture == MIX_LOW && !importance)
        return error_set(err, ST_INVALID,
                         "%s without an importance matrix answers nonsense: say --imatrix with "
                         "a text to make it from",
                         o->type);
    return ST_OK;
}

/* --- which type ------------------------------------------------------------------------- */

static bool has(struct span name, const char *part)
{
    size_t n = strlen(part);

    for (size_t i = 0; i + n <= name.len; i++) {
        if (memcmp(name.ptr + i, part, n) == 0)
            return true;
    }
    return false;
}

static bool is_quantized(const struct gguf_tensor *t)
{
    static const char *const never[] = {"_norm", "ffn_gate_inp", "rope_"};

    if (t->dims < 2 || t->shape[1] < 2 || !has(t->name, ".weight"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        if (has(t->name, never[i]))
            return false;
    }
    return true;
}

/* The number behind "blk."; 0 without one. */
static uint64_t layer_of(struct span name)
{
    uint64_t n = 0;

    for (size_t i = 4; i < name.len && i < 12 && name.ptr[i] >= '0' && name.ptr[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(name.ptr[i] - '0');
    return n;
}

/* The first and the last eighth of all layers, and every third between them. */
static bool is_fine_layer(uint64_t i, uint64_t layers)
{
    return i < layers / 8 || i >= 7 * layers / 8 || (i - layers / 8) % 3 == 2;
}

/* Where a row is no whole number of blocks: the type that is next in size. */
static uint32_t fitting(uint32_t type, uint64_t cols)
{
    const struct format *f = format_of(type);

    if (cols % f->values == 0)
        return type;
    if (cols % 32 != 0)
        return FORMAT_F16;
    switch (type) {
    case FORMAT_Q4_K:
        return FORMAT_Q5_0;
    case FORMAT_Q5_K:
        return FORMAT_Q5_1;
    case FORMAT_Q6_K:
        return FORMAT_Q8_0;
    case FORMAT_IQ2_XS:
        return FORMAT_IQ4_NL;
    default:
        return FORMAT_Q4_0;
    }
}

static bool gets_fine(const struct quantizer *q, const struct gguf_tensor *t)
{
    uint64_t layer = layer_of(t->name);
    bool values = has(t->name, "attn_v."), down = has(t->name, "ffn_down");

    switch (q->recipe->mixture) {
    case MIX_NONE:
        return false;
    case MIX_MEDIUM:
        return (values || down) && is_fine_layer(layer, q->layers);
    case MIX_LOW:
        return values || has(t->name, "attn_qkv") || (down && layer < q->layers / 8);
    }
    return false;
}

static uint32_t choose(struct quantizer *q, const struct gguf_tensor *t)
{
    const struct recipe *r = q->recipe;
    bool tied = gguf_tensor_find(&q->g, "output.weight") == NULL;
    uint32_t type = r->type, fit;

    if (span_eq(t->name, SPAN("output.weight")) ||
        (tied && span_eq(t->name, SPAN("token_embd.weight"))))
        type = r->head;
    else if (span_eq(t->name, SPAN("token_embd.weight")))
        type = r->words;
    else if (r->mixture == MIX_MEDIUM && has(t->name, "attn_qkv"))
        type = r->type == FORMAT_Q4_K ? FORMAT_Q5_K : FORMAT_Q6_K;
    else if (gets_fine(q, t))
        type = r->fine;
    fit = fitting(type, t->shape[0]);
    q->result.replaced += fit != type ? 1 : 0;
    return fit;
}

static bool is_float(uint32_t type)
{
    return type == FORMAT_F32 || type == FORMAT_F16 || type == FORMAT_BF16;
}

/* NULL: nothing is known of its columns. */
static const struct importance_tensor *find_importance(const struct quantizer *q,
                                                       const struct gguf_tensor *t)
{
    return q->o->importance != NULL ? importance_find(q->o->importance, t->name) : NULL;
}

/* An importance matrix of another model must not pass for one of this. */
static enum status check_importance(const struct quantizer *q, const struct gguf_tensor *t)
{
    const struct importance_tensor *known = find_importance(q, t);
    uint64_t matrices = t->dims > 2 ? t->shape[2] : 1;

    if (known == NULL || (known->cols == t->shape[0] && known->matrices == matrices))
        return ST_OK;
    return error_set(q->err, ST_INVALID,
                     "the importance matrix is of another model: tensor '%.*s' has %llu "
                     "columns, there it has %zu",
                     (int)t->name.len, t->name.ptr, (unsigned long long)t->shape[0],
                     known->cols);
}

static enum status choose_all(struct quantizer *q)
{
    q->types =
        arena_alloc(&q->arena, (q->g.tensor_count + 1) * sizeof(*q->types), _Alignof(uint32_t));
    if (q->types == NULL)
        return error_set(q->err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < q->g.tensor_count; i++) {
        const struct gguf_tensor *t = &q->g.tensors[i];
        bool changes = is_quantized(t);
        enum status st = changes ? check_importance(q, t) : ST_OK;

        if (changes && !is_float(t->type) && !q->o->requantize)
            return error_set(q->err, ST_INVALID,
                             "tensor '%.*s' is quantized already (%s): begin with F32, F16 or "
                             "BF16, or say --requantize and keep what it has lost",
                             (int)t->name.len, t->name.ptr, format_name(t->type));
        if (st != ST_OK)
            return st;
        q->types[i] = changes ? choose(q, t) : t->type;
        q->result.changed += changes ? 1 : 0;
        q->result.kept += changes ? 0 : 1;
        q->result.weighted += changes && find_importance(q, t) != NULL ? 1 : 0;
        q->result.bytes_before += t->data.len;
        q->result.bytes_after += gguf_save_bytes(t, q->types[i]);
    }
    return ST_OK;
}

/* --- weights ---------------------------------------------------------------------------- */

/* Some rows of a tensor, each by itself. */
struct piece {
    const uint8_t *from;
    uint32_t from_type, to_type;
    size_t cols, from_bytes, to_bytes; /* of a row */
    float *floats;                     /* [rows][cols] */
    const float *weights;              /* [cols]; NULL: all count the same */
    uint8_t *to;
    bool *broken; /* [rows]: a value that is no number */
};

static void pack_rows(void *arg, size_t from, size_t to)
{
    struct piece *p = arg;

    for (size_t r = from; r < to; r++) {
        float *x = p->floats + r * p->cols;

        format_row(p->from_type, p->from + r * p->from_bytes, p->cols, x);
        p->broken[r] = false;
        for (size_t i = 0; i < p->cols; i++)
            p->broken[r] |= !isfinite(x[i]);
        if (!p->broken[r])
            format_pack_row(p->to_type, x, p->weights, p->cols, p->to + r * p->to_bytes);
    }
}

static enum status write_piece(struct quantizer *q, struct piece *p, size_t rows,
                               const struct gguf_tensor *t, struct gguf_save *s)
{
    threads_run(q->threads, rows, 1, pack_rows, p);
    for (size_t r = 0; r < rows; r++) {
        if (p->broken[r])
            return error_set(q->err, ST_INVALID,
                             "tensor '%.*s' holds values that are no numbers", (int)t->name.len,
                             t->name.ptr);
    }
    return gguf_save_data(s, p->to, rows * p->to_bytes);
}

/* The rows of one matrix. */
static enum status write_matrix(struct quantizer *q, struct piece *p, size_t rows, size_t most,
                                const struct gguf_tensor *t, struct gguf_save *s)
{
    enum status st = ST_OK;

    for (size_t r = 0; st == ST_OK && r < rows; r += most) {
        size_t n = most < rows - r ? most : rows - r;

        st = write_piece(q, p, n, t, s);
        p->from += n * p->from_bytes;
    }
    return st;
}

static enum status write_changed(struct quantizer *q, const struct gguf_tensor *t,
                                 uint32_t type, struct gguf_save *s)
{
    const struct importance_tensor *known = find_importance(q, t);
    size_t cols = (size_t)t->shape[0], most = PIECE_BYTES / sizeof(float) / cols + 1;
    size_t matrices = t->dims > 2 ? (size_t)t->shape[2] : 1;
    const struct format *f = format_of(t->type);
    struct piece p = {.from_type = t->type, .to_type = type, .cols = cols};
    float *weights = malloc(cols * sizeof(*weights));
    size_t rows;
    enum status st = ST_OK;

    p.from = (const uint8_t *)t->data.ptr;
    p.from_bytes = cols / f->values * f->bytes;
    p.to_bytes = cols / format_of(type)->values * format_of(type)->bytes;
    rows = t->data.len / p.from_bytes / matrices;
    most = most < rows ? most : rows;
    p.floats = malloc(most * cols * sizeof(*p.floats));
    p.to = malloc(most * p.to_bytes);
    p.broken = malloc(most * sizeof(*p.broken));
    if (p.floats == NULL || p.to == NULL || p.broken == NULL || weights == NULL)
        st = error_set(q->err, ST_NOMEM, "out of memory");
    for (size_t k = 0; st == ST_OK && k < matrices; k++) {
        p.weights = known != NULL && importance_weights(known, k, weights) ? weights : NULL;
        st = write_matrix(q, &p, rows, most, t, s);
    }
    free(p.floats);
    free(p.to);
    free(p.broken);
    free(weights);
    return st;
}

static enum status write_all(struct quantizer *q, FILE *file)
{
    struct gguf_save s;
    enum status st = gguf_save_open(&s, file, &q->g, q->types, q->recipe->file_type);

    for (size_t i = 0; st == ST_OK && i < q->g.tensor_count; i++) {
        const struct gguf_tensor *t = &q->g.tensors[i];

        if (q->o->progress != NULL)
            q->o->progress(q->o->arg, i, q->g.tensor_count);
        if (q->types[i] == t->type)
            st = gguf_save_data(&s, t->data.ptr, t->data.len);
        else
            st = write_changed(q, t, q->types[i], &s);
        if (st == ST_OK)
            st = gguf_save_pad(&s);
    }
    return st;
}

/* --- files ------------------------------------------------------------------------------ */

static enum status write_file(struct quantizer *q, const char *out)
{
    struct new_file f;
    enum status st = new_file_open(&f, out, q->err);

    return st == ST_OK ? new_file_close(&f, write_all(q, f.file), q->err) : st;
}

static enum status read_file(struct quantizer *q, const char *in)
{
    enum status st = file_map(in, &q->file, q->err);
    struct span arch;
    char key[128];

    if (st == ST_OK)
        st = gguf_read(q->file.bytes, &q->arena, &q->g, q->err);
    if (st != ST_OK)
        return st;
    arch = gguf_string(&q->g, "general.architecture");
    snprintf(key, sizeof(key), "%.*s.block_count", (int)(arch.len < 64 ? arch.len : 0),
             arch.len > 0 ? arch.ptr : "");
    if (!gguf_u64(&q->g, key, &q->layers))
        q->layers = 0;
    return choose_all(q);
}

enum status quantize_file(const char *in, const char *out, const struct quantize_options *o,
                          struct quantize_result *result, struct engine_error *err)
{
    struct quantizer q = {.o = o, .recipe = find_recipe(o->type), .err = err};
    enum status st = quantize_check(o, o->importance != NULL, err);

    if (st != ST_OK)
        return st;
    arena_init(&q.arena, 1 << 16, ARENA_LIMIT);
    st = threads_open(o->threads, &q.threads);
    if (st != ST_OK) {
        (void)error_set(err, st, "out of memory");
    } else {
        st = read_file(&q, in);
        if (st == ST_OK)
            st = write_file(&q, out);
        threads_close(q.threads);
    }
    arena_release(&q.arena);
    file_release(&q.file);
    if (st == ST_OK)
        *result = q.result;
    return st;
}
