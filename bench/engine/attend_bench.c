/* Times attention by how keys and values are kept, for every kernel set of this machine:
 *     attend_bench [POSITIONS]
 * One thread, heads of 64, three of which share a key head, as in SmolLM2-135M. Decode: one
 * column at that depth (2048) in 30 layers with three key heads, ms and GB/s of slots read.
 * Prompt: 21 columns over 512 positions, 10^9 multiply-adds a second. Best of some. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/cpu.h"
#include "engine/engine.h"
#include "engine/kernels/attend.h"

#define WIDTH   64
#define GROUP   3
#define PLACES  90 /* layers times key heads */
#define COLUMNS (ATTEND_ROWS_MAX / GROUP)
#define RUNS    9

struct bench {
    const struct attend_kernels *k;
    struct attend_keys keys; /* of the first place; the others lie behind */
    uint32_t *pages;
    size_t count; /* pages of a place */
    float q[ATTEND_ROWS_MAX * WIDTH];
};

static void *need(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

    if (p == NULL)
        exit(1);
    return p;
}

static float noise(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(*seed >> 32) / 2147483648.0f;
}

static void fill(struct bench *b)
{
    float key[WIDTH], value[WIDTH];
    uint64_t seed = 1;

    for (size_t i = 0; i < ARRAY_LEN(b->q); i++)
        b->q[i] = noise(&seed);
    for (size_t i = 0; i < PLACES * b->count * ATTEND_PAGE; i++) {
        uint8_t *slot = b->keys.slots + i / ATTEND_PAGE * b->keys.slot_bytes;

        for (size_t c = 0; c < WIDTH; c++) {
            key[c] = noise(&seed);
            value[c] = noise(&seed);
        }
        b->k->store(b->keys.type, slot, i % ATTEND_PAGE, WIDTH, key, value);
    }
}

static struct bench make(enum decoder_cache type, size_t positions)
{
    struct bench b = {.k = attend_kernels(), .count = positions / ATTEND_PAGE};

    b.keys.type = type;
    b.keys.slot_bytes = attend_slot_bytes(type, WIDTH);
    b.keys.slots = need(PLACES * b.count * b.keys.slot_bytes);
    b.keys.pages = b.pages = need(b.count * sizeof(*b.pages));
    for (size_t i = 0; i < b.count; i++)
        b.pages[i] = (uint32_t)i;
    fill(&b);
    return b;
}

/* The last columns before `end` look at all before them. */
static void attend(const struct bench *b, size_t place, size_t columns, size_t end)
{
    static float out[ATTEND_ROWS_MAX * WIDTH];
    uint32_t first[ATTEND_ROWS_MAX] = {0}, last[ATTEND_ROWS_MAX];
    float most[ATTEND_ROWS_MAX], sum[ATTEND_ROWS_MAX];
    const struct attend_queries q = {b->q, first, last, columns * GROUP, WIDTH};
    const struct attend_state s = {most, sum, out};
    struct attend_keys keys = b->keys;

    keys.slots += place * b->count * keys.slot_bytes;
    for (size_t r = 0; r < q.rows; r++)
        last[r] = (uint32_t)(end - columns + r / GROUP);
    b->k->pages(&q, &keys, 0, (end + ATTEND_PAGE - 1) / ATTEND_PAGE, &s);
}

/* Microseconds of the fastest run over all places. */
static double time_of(const struct bench *b, size_t columns, size_t end)
{
    double best = 1e18;

    for (int i = 0; i < RUNS; i++) {
        uint64_t t0 = clock_now_us();
        double us;

        for (size_t p = 0; p < PLACES; p++)
            attend(b, p, columns, end);
        us = (double)(clock_now_us() - t0);
        best = us < best ? us : best;
    }
    return best;
}

static void run(enum decoder_cache type, size_t positions)
{
    static const char *const names[] = {"f32", "f16", "q8"};
    struct bench b = make(type, positions);
    double decode = time_of(&b, 1, positions);
    double bytes = (double)(PLACES * b.count * b.keys.slot_bytes);
    size_t end = positions < 512 ? positions : 512;
    double prompt = time_of(&b, COLUMNS, end);

    printf("%-10s %-4s decode at %zu: %6.3f ms, %5.1f GB/s  prompt: %6.1f GMAC/s\n",
           cpu_kernels(), names[type], positions, decode / 1e3, bytes / decode / 1e3,
           2.0 * WIDTH * GROUP * COLUMNS * (double)end * PLACES / prompt / 1e3);
    fflush(stdout);
    free(b.keys.slots);
    free(b.pages);
}

int main(int argc, char **argv)
{
    static const char *const sets[] = {"avx2", "avx512vnni"};
    unsigned long positions = argc > 1 ? strtoul(argv[1], NULL, 10) : 2048;

    if (positions < COLUMNS || positions > 65536) {
        fprintf(stderr, "attend_bench: %d to 65536 positions\n", COLUMNS);
        return 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        if (cpu_force(sets[i]) != ST_OK) {
            printf("%-10s not on this machine\n", sets[i]);
            continue;
        }
        for (enum decoder_cache type = CACHE_F32; type <= CACHE_Q8; type++)
            run(type, positions / ATTEND_PAGE * ATTEND_PAGE);
    }
    return 0;
}
