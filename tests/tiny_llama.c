#include "tiny_llama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

#define BASE 5000.0
#define EPS  1e-5

/* --- the vocabulary ------------------------------------------------------------------- */

static const char *const merges[TINY_MERGES] = {"h e",        "l l", "he ll",
                                                "\xc4\xa0 w", "o r", "\xc4\xa0w or"};
static const char *const merged[TINY_MERGES] = {"he",        "ll", "hell",
                                                "\xc4\xa0w", "or", "\xc4\xa0wor"};
static const char *const controls[TINY_CONTROLS] = {"<|endoftext|>", "<|im_start|>",
                                                    "<|im_end|>"};

/* A byte's character in GPT-2's alphabet, as UTF-8. */
static struct span char_of(unsigned byte, char out[2])
{
    unsigned c = byte, next = 256;

    for (unsigned b = 0; b <= byte; b++) {
        int printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

        c = printable ? b : next;
        next += !printable;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return (struct span){out, 1};
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return (struct span){out, 2};
}

void tiny_llama_tokenizer(struct gguf_writer *w, const char *pre)
{
    struct span tokens[TINY_WORDS], rules[TINY_MERGES];
    int32_t types[TINY_WORDS];
    char bytes[256][2];

    for (size_t i = 0; i < TINY_WORDS; i++) {
        types[i] = i < TINY_CONTROLS ? 3 : 1;
        tokens[i] = i < TINY_CONTROLS ? span_of(controls[i])
                    : i < TINY_CONTROLS + 256
                        ? char_of((unsigned)i - TINY_CONTROLS, bytes[i - TINY_CONTROLS])
                        : span_of(merged[i - TINY_CONTROLS - 256]);
    }
    for (size_t i = 0; i < TINY_MERGES; i++)
        rules[i] = span_of(merges[i]);
    gguf_writer_text(w, "tokenizer.ggml.model", "gpt2");
    gguf_writer_text(w, "tokenizer.ggml.pre", pre);
    gguf_writer_texts(w, "tokenizer.ggml.tokens", tokens, TINY_WORDS);
    gguf_writer_i32s(w, "tokenizer.ggml.token_type", types, TINY_WORDS);
    gguf_writer_texts(w, "tokenizer.ggml.merges", rules, TINY_MERGES);
    gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", 2);
    gguf_writer_text(w, "tokenizer.chat_template", "{{'<|im_start|>' + role}}");
}

/* --- weights -------------------------------------------------------------------------- */

static uint32_t state = 12345;

/* In [-1, 1). */
static float noise(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

/* Only values that a half holds exactly are used: 1 + 10 bits, modest exponents. */
static float coarse(float v)
{
    int e;
    float m = frexpf(v, &e);

    if (e < -12)
        return 0;
    return ldexpf(rintf(m * 2048), e - 11);
}

static uint16_t half_of(float v)
{
    uint32_t bits, sign;
    int e;

    memcpy(&bits, &v, 4);
    sign = bits >> 16 & 0x8000;
    if (v == 0)
        return (uint16_t)sign;
    e = (int)(bits >> 23 & 255) - 127 + 15;
    if (e < 1 || e > 30)
        abort();
    return (uint16_t)(sign | (uint32_t)e << 10 | (bits >> 13 & 0x3ff));
}

static void put(struct buf *b, const void *p, size_t n)
{
    if (buf_append(b, (struct span){p, n}) != ST_OK)
        abort();
}

static void put_half(struct buf *b, float v)
{
    uint16_t h = half_of(v);

    put(b, &h, 2);
}

/* One block of random codes: its bytes, and the values they stand for. */
static void put_block(struct buf *b, uint32_t type, float *values)
{
    float d = coarse(0.02f + 0.01f * noise()), m = type == 3 ? coarse(-0.15f + 0.05f * noise())
                                                   : type == 2 ? -8 * d
                                                               : 0;

    if (type == 8)
        d = coarse(d / 16);
    put_half(b, d);
    if (type == 3)
        put_half(b, m);
    if (type == 8) {
        for (size_t i = 0; i < 32; i++) {
            int8_t c = (int8_t)(noise() * 127);

            put(b, &c, 1);
            values[i] = (float)c * d;
        }
        return;
    }
    for (size_t i = 0; i < 16; i++) {
        unsigned low = (unsigned)(8 + noise() * 8), high = (unsigned)(8 + noise() * 8);
        uint8_t both = (uint8_t)(low | high << 4);

        put(b, &both, 1);
        values[i] = (float)low * d + m;
        values[i + 16] = (float)high * d + m;
    }
}

static void fill(struct tiny_tensor *t, uint32_t type, struct buf *data)
{
    size_t n = (t->rows > 0 ? t->rows : 1) * t->cols;

    for (size_t i = 0; i<n; i += type> 1 ? 32 : 1) {
        if (type > 1) {
            put_block(data, type, t->values + i);
            continue;
        }
        t->values[i] = t->rows > 0 ? coarse(noise() * 0.3f) : 1 + noise() * 0.2f;
        if (type == 1)
            put_half(data, t->values[i]);
        else
            put(data, &t->values[i], 4);
    }
}

static void add(struct tiny_llama *t, struct gguf_writer *w, const char *name, size_t rows,
                size_t cols, uint32_t type)
{
    struct tiny_tensor *to = &t->tensors[t->count++];
    const uint64_t shape[3] = {cols, rows, 1};
    struct buf data;

    snprintf(to->name, sizeof(to->name), "%s", name);
    to->rows = rows;
    to->cols = cols;
    to->values = malloc((rows > 0 ? rows : 1) * cols * sizeof(float));
    if (to->values == NULL)
        abort();
    buf_init(&data, 1 << 20);
    fill(to, rows > 0 ? type : 0, &data);
    gguf_writer_tensor(w, name, rows > 0 ? type : 0, shape, buf_span(&data));
    buf_release(&data);
}

static void add_layer(struct tiny_llama *t, struct gguf_writer *w, size_t i, uint32_t type)
{
    static const struct {
        const char *name;
        size_t rows, cols;
    } list[] = {
        {"attn_norm", 0, TINY_D},        {"attn_q", TINY_D, TINY_D},
        {"attn_k", TINY_KV, TINY_D},     {"attn_v", TINY_KV, TINY_D},
        {"attn_output", TINY_D, TINY_D}, {"ffn_norm", 0, TINY_D},
        {"ffn_gate", TINY_FFN, TINY_D},  {"ffn_up", TINY_FFN, TINY_D},
        {"ffn_down", TINY_D, TINY_FFN},
    };
    char name[40];

    for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
        snprintf(name, sizeof(name), "blk.%zu.%s.weight", i, list[k].name);
        add(t, w, name, list[k].rows, list[k].cols, type);
    }
}

void tiny_llama_init(struct tiny_llama *t, uint32_t type, uint64_t alignment,
                     const struct gguf_edit *edit, struct buf *out)
{
    struct gguf_writer w;

    memset(t, 0, sizeof(*t));
    state = 12345 + type;
    gguf_writer_init(&w, edit);
    w.alignment = alignment;
    gguf_writer_text(&w, "general.architecture", "llama");
    if (alignment != 32)
        gguf_writer_u32(&w, "general.alignment", (uint32_t)alignment);
    gguf_writer_u32(&w, "llama.embedding_length", TINY_D);
    gguf_writer_u32(&w, "llama.feed_forward_length", TINY_FFN);
    gguf_writer_u32(&w, "llama.attention.head_count", TINY_HEADS);
    gguf_writer_u32(&w, "llama.attention.head_count_kv", TINY_KV_HEADS);
    gguf_writer_u32(&w, "llama.attention.key_length", TINY_WIDTH);
    gguf_writer_u32(&w, "llama.rope.dimension_count", TINY_ROPE);
    gguf_writer_u32(&w, "llama.block_count", TINY_LAYERS);
    gguf_writer_u32(&w, "llama.context_length", TINY_CONTEXT);
    gguf_writer_u32(&w, "llama.expert_count", 0);
    gguf_writer_text(&w, "llama.rope.scaling.type", "none");
    gguf_writer_f32(&w, "llama.attention.layer_norm_rms_epsilon", (float)EPS);
    gguf_writer_f32(&w, "llama.rope.freq_base", (float)BASE);
    tiny_llama_tokenizer(&w, "smollm");
    add(t, &w, "token_embd.weight", TINY_WORDS, TINY_D, type);
    add(t, &w, "output.weight", TINY_WORDS, TINY_D, type);
    add(t, &w, "output_norm.weight", 0, TINY_D, 0);
    for (size_t i = 0; i < TINY_LAYERS; i++)
        add_layer(t, &w, i, type);
    gguf_writer_finish(&w, out);
    gguf_writer_release(&w);
}

void tiny_llama_release(struct tiny_llama *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->tensors[i].values);
}

/* --- the forward pass ----------------------------------------------------------------- */

static const float *find(const struct tiny_llama *t, int layer, const char *what)
{
    char name[40];

    if (layer < 0)
        snprintf(name, sizeof(name), "%s.weight", what);
    else
        snprintf(name, sizeof(name), "blk.%d.%s.weight", layer, what);
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->tensors[i].name, name) == 0)
            return t->tensors[i].values;
    }
    abort();
}

/* x as it is after a block of 32 became bytes with one scale, itself a half. */
static void round_block(double *x)
{
    double most = 0, scale;

    for (size_t i = 0; i < 32; i++)
        most = fmax(most, fabs(x[i]));
    scale = most / 127;
    for (size_t i = 0; i < 32; i++)
        x[i] = scale > 0 ? rint(x[i] / scale) * (double)coarse((float)scale) : 0;
}

static void product(const float *w, const double *x, size_t rows, size_t cols, int rounded,
                    double *y)
{
    double in[TINY_FFN];

    memcpy(in, x, cols * sizeof(*in));
    for (size_t i = 0; rounded && i < cols; i += 32)
        round_block(in + i);
    for (size_t r = 0; r < rows; r++) {
        y[r] = 0;
        for (size_t i = 0; i < cols; i++)
            y[r] += (double)w[r * cols + i] * in[i];
    }
}

static void norm(const double *x, const float *w, double *y)
{
    double sum = 0;

    for (size_t i = 0; i < TINY_D; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < TINY_D; i++)
        y[i] = x[i] / sqrt(sum / TINY_D + (double)(float)EPS) * (double)w[i];
}

static void turn(double *v, size_t heads, size_t pos)
{
    for (size_t h = 0; h < heads; h++) {
        for (size_t i = 0; i < TINY_ROPE / 2; i++) {
            double angle = (double)pos * pow(BASE, -2.0 * (double)i / TINY_ROPE);
            double *p = v + h * TINY_WIDTH + 2 * i, a = p[0], b = p[1];

            p[0] = a * cos(angle) - b * sin(angle);
            p[1] = a * sin(angle) + b * cos(angle);
        }
    }
}

struct memory {
    double k[TINY_CONTEXT][TINY_KV], v[TINY_CONTEXT][TINY_KV];
};

static void attend(const struct memory *m, const double *q, size_t pos, double *out)
{
    double p[TINY_CONTEXT];

    for (size_t h = 0; h < TINY_HEADS; h++) {
        size_t kv = h / (TINY_HEADS / TINY_KV_HEADS) * TINY_WIDTH;
        double total = 0;

        for (size_t j = 0; j <= pos; j++) {
            double s = 0;

            for (size_t c = 0; c < TINY_WIDTH; c++)
                s += q[h * TINY_WIDTH + c] * m->k[j][kv + c];
            p[j] = exp(s / sqrt((double)TINY_WIDTH));
            total += p[j];
        }
        for (size_t c = 0; c < TINY_WIDTH; c++) {
            double s = 0;

            for (size_t j = 0; j <= pos; j++)
                s += p[j] * m->v[j][kv + c];
            out[h * TINY_WIDTH + c] = s / total;
        }
    }
}

static void layer(const struct tiny_llama *t, int i, struct memory *m, size_t pos, int rounded,
                  double *x)
{
    double h[TINY_D], q[TINY_D], a[TINY_D], gate[TINY_FFN], up[TINY_FFN];

    norm(x, find(t, i, "attn_norm"), h);
    product(find(t, i, "attn_q"), h, TINY_D, TINY_D, rounded, q);
    product(find(t, i, "attn_k"), h, TINY_KV, TINY_D, rounded, m->k[pos]);
    product(find(t, i, "attn_v"), h, TINY_KV, TINY_D, rounded, m->v[pos]);
    turn(q, TINY_HEADS, pos);
    turn(m->k[pos], TINY_KV_HEADS, pos);
    attend(m, q, pos, a);
    product(find(t, i, "attn_output"), a, TINY_D, TINY_D, rounded, h);
    for (size_t c = 0; c < TINY_D; c++)
        x[c] += h[c];
    norm(x, find(t, i, "ffn_norm"), h);
    product(find(t, i, "ffn_gate"), h, TINY_FFN, TINY_D, rounded, gate);
    product(find(t, i, "ffn_up"), h, TINY_FFN, TINY_D, rounded, up);
    for (size_t c = 0; c < TINY_FFN; c++)
        gate[c] = gate[c] / (1 + exp(-gate[c])) * up[c];
    product(find(t, i, "ffn_down"), gate, TINY_D, TINY_FFN, rounded, h);
    for (size_t c = 0; c < TINY_D; c++)
        x[c] += h[c];
}

void tiny_llama_logits(const struct tiny_llama *t, const uint32_t *ids, size_t n, int rounded,
                       float *out)
{
    struct memory *m = calloc(TINY_LAYERS, sizeof(*m));
    double x[TINY_D], h[TINY_D], logits[TINY_WORDS];

    if (m == NULL)
        abort();
    for (size_t pos = 0; pos < n; pos++) {
        for (size_t c = 0; c < TINY_D; c++)
            x[c] = (double)find(t, -1, "token_embd")[ids[pos] * TINY_D + c];
        for (int i = 0; i < TINY_LAYERS; i++)
            layer(t, i, &m[i], pos, rounded, x);
    }
    norm(x, find(t, -1, "output_norm"), h);
    product(find(t, -1, "output"), h, TINY_WORDS, TINY_D, rounded, logits);
    for (size_t i = 0; i < TINY_WORDS; i++)
        out[i] = (float)logits[i];
    free(m);
}
