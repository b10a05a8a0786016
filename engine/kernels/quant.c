#include "engine/kernels/quant.h"

#include "engine/cpu.h"
#include "engine/format.h"

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
    format_row(w->type, w->data + row * w->row_bytes, w->cols, out);
}
