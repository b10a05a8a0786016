#include "engine/kernels/quant.h"

#include "engine/format.h"
#include "engine/kernels/quant_pack.h"

const struct quant_kernels *const quant_sets[CPU_LEVELS] = {
    [CPU_REF] = &quant_ref,
#if defined(__x86_64__)
    [CPU_AVX2] = &quant_avx2,
    [CPU_AVXVNNI] = &quant_avxvnni,
    [CPU_AVX512VNNI] = &quant_avx512vnni,
#elif defined(__aarch64__)
    [CPU_NEON] = &quant_neon,
    [CPU_NEONDOT] = &quant_neondot,
#endif
};

const struct quant_kernels *quant_kernels(void)
{
    return quant_sets[cpu_level()];
}

void quant_row(const struct quant_matrix *w, size_t row, float *out)
{
    uint8_t bytes[QUANT_PACK_ROW_MAX];
    const uint8_t *p = w->data + row * w->row_bytes;

    if (row < w->packed) {
        quant_pack_row(w, row, bytes);
        p = bytes;
    }
    format_row(w->type, p, w->cols, out);
}
