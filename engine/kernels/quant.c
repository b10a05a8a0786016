#include "engine/kernels/quant.h"

#include "engine/cpu.h"
#include "engine/format.h"
#include "engine/kernels/quant_pack.h"

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
