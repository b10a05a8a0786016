/* Times the decoder's products by type of weights, for every kernel set of this machine:
 *     quant_bench [TYPE...]
 * One thread. Decode: a matrix of 96 MiB, larger than a core's caches, with one column, GB/s of
 * weights read. Prompt: 576 x 576 with 64 columns, 10^9 multiply-adds a second. Best of some.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cpu.h"
#include "engine/engine.h"
#include "engine/format.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/quant_pack.h"

#define LARGE_BYTES (96u << 20)
#define COLS        1536u /* whole blocks of every type */
#define RUNS        5

static void *need(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

    if (p == NULL)
        exit(1);
    memset(p, 0x11, n);
    return p;
}

/* Any bytes are codes; scales of 0x1111 are small numbers. */
static struct quant_matrix make(uint32_t type, size_t rows)
{
    const struct format *f = format_of(type);
    struct quant_matrix w = {.type = type, .rows = rows, .cols = COLS};
    uint8_t *data;

    w.row_bytes = COLS / f->values * f->bytes;
    data = need(rows * w.row_bytes);
    w.data = data;
    if (quant_pack(&w, data) != ST_OK)
        exit(1);
    return w;
}

static struct quant_input make_input(const struct quant_kernels *k, size_t n)
{
    size_t blocks = n * COLS / QUANT_BLOCK;
    float *x = need(n * COLS * sizeof(*x));
    struct quant_input in = {.x = x, .q = need(n * COLS)};

    in.d = need(blocks * sizeof(float));
    in.s = need(blocks * sizeof(float));
    in.sums = need(blocks * 2 * sizeof(*in.sums));
    for (size_t i = 0; i < n * COLS; i++)
        x[i] = (float)(i % 17) - 8;
    for (size_t t = 0; t < n; t++)
        k->quantize(x + t * COLS, COLS, &in, t);
    return in;
}

/* Microseconds of the fastest run. */
static double time_of(const struct quant_kernels *k, size_t rows, uint32_t type, size_t n,
                      int runs)
{
    struct quant_matrix w = make(type, rows);
    struct quant_input in = make_input(k, n);
    float *y = need(n * rows * sizeof(*y));
    double best = 1e18;

    for (int i = 0; i < runs; i++) {
        uint64_t t0 = clock_now_us();
        double us;

        k->matmul(&w, &in, n, 0, rows, y, rows);
        us = (double)(clock_now_us() - t0);
        best = us < best ? us : best;
    }
    free((void *)(uintptr_t)w.data);
    free((void *)(uintptr_t)in.x);
    free(in.q);
    free(in.d);
    free(in.s);
    free(in.sums);
    free(y);
    return best;
}

static void run(uint32_t type)
{
    const struct quant_kernels *k = quant_kernels();
    size_t row_bytes = COLS / format_of(type)->values * (size_t)format_of(type)->bytes;
    size_t rows = LARGE_BYTES / row_bytes & ~(size_t)15;
    double decode = time_of(k, rows, type, 1, RUNS);
    double few = time_of(k, 576, type, 8, 20 * RUNS);
    double prompt = time_of(k, 576, type, QUANT_TOKENS, 4 * RUNS);

    printf("%-10s %-7s decode %5.1f GB/s  8 columns %5.1f  64 columns %5.1f GMAC/s\n",
           cpu_kernels(), format_name(type), (double)(rows * row_bytes) / decode / 1e3,
           576.0 * COLS * 8 / few / 1e3, 576.0 * COLS * QUANT_TOKENS / prompt / 1e3);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const char *const sets[] = {"avx2", "avxvnni", "avx512vnni", "neon", "neondot"};

    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        if (cpu_force(sets[i]) != ST_OK) {
            printf("%-10s not on this machine\n", sets[i]);
            continue;
        }
        for (uint32_t type = 0; type < 64; type++) {
            bool wanted = argc < 2 && quant_pack_layout(type).bytes > 0;

            for (int a = 1; a < argc && format_of(type)->values > 0; a++)
                wanted = wanted || strcmp(argv[a], format_name(type)) == 0;
            if (wanted)
                run(type);
        }
    }
    return 0;
}
