/* What every other set of attention kernels must compute, in the plainest way: exactly, of
 * what is stored. */
#include <math.h>
#include <string.h>

#include "engine/half.h"
#include "engine/kernels/attend_slot.h"

/* x[n] = q * the scale that is returned */
static float quantize(const float *x, size_t n, int8_t *q)
{
    float most = 0, factor;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    /* Not a number becomes -127, what is too small to divide by 0. */
    factor = most > ATTEND_TINY ? 127.0f / most : 0;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] * factor;

        v = v > -127.0f ? v : -127.0f;
        v = v < 127.0f ? v : 127.0f;
        q[i] = (int8_t)nearbyintf(v);
    }
    return most / 127.0f;
}

/* y = H x for each run of dimensions: Sylvester's matrix, without its factor. */
static void mix(const float *x, size_t width, float *y)
{
    size_t n = attend_q8_mixed(width);

    memcpy(y, x, width * sizeof(*y));
    for (size_t step = 1; step < n; step *= 2) {
        for (size_t i = 0; i < width; i++) {
            float a, b;

            if ((i & step) != 0)
                continue;
            a = y[i];
            b = y[i + step];
            y[i] = a + b;
            y[i + step] = a - b;
        }
    }
}

static void store_q8(uint8_t *slot, size_t at, size_t width, const float *key,
                     const float *value)
{
    struct attend_q8 p = attend_q8_at(slot, width);
    float mixed[ATTEND_WIDTH_MAX];

    mix(key, width, mixed);

    for (size_t b = 0; b < p.blocks; b++) {
        size_t from = b * ATTEND_BLOCK, n = attend_q8_length(width, from);
        int8_t k[ATTEND_BLOCK], v[ATTEND_BLOCK];

        p.key_scales[b * ATTEND_PAGE + at] = quantize(mixed + from, n, k);
        p.value_scales[b * ATTEND_PAGE + at] = quantize(value + from, n, v);
        for (size_t i = 0; i < n; i++) {
            p.keys[attend_q8_key(at, from + i)] = k[i];
            p.values[attend_q8_value(at, from + i, width)] = v[i];
        }
    }
}

static void store(enum decoder_cache type, uint8_t *slot, size_t at, size_t width,
                  const float *key, const float *value)
{
    float *f = (float *)(void *)slot;
    uint16_t *h = (uint16_t *)(void *)slot;

    if (type == CACHE_Q8) {
        store_q8(slot, at, width, key, value);
        return;
    }
    for (size_t c = 0; c < width; c++) {
        size_t k = c * ATTEND_PAGE + at, v = ATTEND_PAGE * width + at * width + c;

        if (type == CACHE_F32) {
            f[k] = key[c];
            f[v] = value[c];
        } else {
            h[k] = half_from_float(key[c]);
            h[v] = half_from_float(value[c]);
        }
    }
}

/* Dimension c of the key and the value at a position of a slot. */
static double key_at(enum decoder_cache type, uint8_t *slot, size_t width, size_t at, size_t c)
{
    struct attend_q8 p = attend_q8_at(slot, width);
    size_t i = c * ATTEND_PAGE + at;

    if (type == CACHE_Q8)
        return (double)p.keys[attend_q8_key(at, c)] *
               (double)p.key_scales[c / ATTEND_BLOCK * ATTEND_PAGE + at];
    return type == CACHE_F32 ? (double)((float *)(void *)slot)[i]
                             : (double)half_to_float(((uint16_t *)(void *)slot)[i]);
}

static double value_at(enum decoder_cache type, uint8_t *slot, size_t width, size_t at,
                       size_t c)
{
    struct attend_q8 p = attend_q8_at(slot, width);
    size_t i = ATTEND_PAGE * width + at * width + c;

    if (type == CACHE_Q8)
        return (double)p.values[attend_q8_value(at, c, width)] *
               (double)p.value_scales[c / ATTEND_BLOCK * ATTEND_PAGE + at];
    return type == CACHE_F32 ? (double)((float *)(void *)slot)[i]
                             : (double)half_to_float(((uint16_t *)(void *)slot)[i]);
}

static double score(const struct attend_queries *q, const struct attend_keys *k, size_t row,
                    size_t pos)
{
    uint8_t *slot = attend_slot(k, pos / ATTEND_PAGE);
    const float *x = q->q + row * q->width;
    float mixed[ATTEND_WIDTH_MAX];
    double sum = 0;

    if (k->type == CACHE_Q8) {
        mix(x, q->width, mixed);
        x = mixed;
    }
    for (size_t c = 0; c < q->width; c++)
        sum += (double)x[c] * key_at(k->type, slot, q->width, pos % ATTEND_PAGE, c);
    return k->type == CACHE_Q8 ? sum / (double)attend_q8_mixed(q->width) : sum;
}

/* Positions from..to, end not included. */
static void attend_row(const struct attend_queries *q, const struct attend_keys *k, size_t row,
                       size_t from, size_t to, const struct attend_state *s)
{
    double most = -INFINITY, sum = 0, out[ATTEND_WIDTH_MAX] = {0};

    for (size_t j = from; j < to; j++)
        most = fmax(most, score(q, k, row, j));
    for (size_t j = from; j < to; j++) {
        uint8_t *slot = attend_slot(k, j / ATTEND_PAGE);
        double p = exp(score(q, k, row, j) - most);

        sum += p;
        for (size_t c = 0; c < q->width; c++)
            out[c] += p * value_at(k->type, slot, q->width, j % ATTEND_PAGE, c);
    }
    s->most[row] = (float)most;
    s->sum[row] = (float)sum;
    for (size_t c = 0; c < q->width; c++)
        s->out[row * q->width + c] = (float)out[c];
}

static void pages(const struct attend_queries *q, const struct attend_keys *k, size_t from,
                  size_t to, const struct attend_state *s)
{
    for (size_t r = 0; r < q->rows; r++) {
        size_t a = from * ATTEND_PAGE, b = to * ATTEND_PAGE;

        if (q->first[r] > a)
            a = q->first[r];
        if (q->last[r] + (size_t)1 < b)
            b = q->last[r] + (size_t)1;
        attend_row(q, k, r, a, b, s);
    }
}

const struct attend_kernels attend_ref = {.store = store, .pages = pages};
