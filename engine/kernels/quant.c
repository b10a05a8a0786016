#include "engine/kernels/quant.h"

#include <string.h>

#include "engine/cpu.h"
#include "engine/gguf.h"
#include "engine/half.h"

const struct quant_kernels *quant_kernels(void)
{
#if defined(__x86_64__)
    switch (cpu_level()) {
    case CPU_AVX512VNNI:
        return &quant_avx512vnni;
    case CPU_AVXVNNI:
        return &quant_avxvnni;
    case CPU_AVX2:
        return &quant_avx2;
    case CPU_REF:
        break;
    }
#endif
    return &quant_ref;
}

static float half_at(const uint8_t *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof(bits));
    return half_to_float(bits);
}

static void q4_block(const uint8_t *codes, float d, float m, float *out)
{
    for (size_t j = 0; j < 16; j++) {
        out[j] = (float)(codes[j] & 15) * d + m;
        out[j + 16] = (float)(codes[j] >> 4) * d + m;
    }
}

void quant_row(const struct quant_matrix *w, size_t row, float *out)
{
    const uint8_t *p = w->data + row * w->row_bytes;

    if (w->type == GGUF_F32) {
        memcpy(out, p, w->cols * sizeof(*out));
        return;
    }
    if (w->type == GGUF_F16) {
        for (size_t i = 0; i < w->cols; i++)
            out[i] = half_at(p + 2 * i);
        return;
    }
    for (size_t i = 0; i < w->cols; i += QUANT_BLOCK, p += gguf_block_bytes(w->type)) {
        float d = half_at(p);

        if (w->type == GGUF_Q4_0) {
            q4_block(p + 2, d, -8 * d, out + i);
        } else if (w->type == GGUF_Q4_1) {
            q4_block(p + 4, d, half_at(p + 2), out + i);
        } else {
            for (size_t j = 0; j < QUANT_BLOCK; j++)
                out[i + j] = (float)(int8_t)p[2 + j] * d;
        }
    }
}
