/* Eight bits a weight, one scale a row. Kernels without a byte product that adds in 32
 * bits add, of every eight inputs, {0,1,4,5} and {2,3,6,7} in 16: inputs reach 255, so the
 * weights of one sign among those four may reach 128 in sum (255 * 128 < 2^15). The scale
 * of a row is the smallest that keeps to it; rounding can add at most half a step each. */
#include "engine/kernels/dense_pack.h"

#include <math.h>

#define STEP_MAX 127.0f
#define FOUR_MAX (128.0f - 4 * 0.5f + 0.5f) /* whole numbers: 128.5 is 128 */

static float four(const float *v, float sign)
{
    static const unsigned char at[] = {0, 1, 4, 5};
    float sum = 0;

    for (size_t i = 0; i < 4; i++)
        sum += fmaxf(v[at[i]] * sign, 0);
    return sum;
}

static float step_of(const float *v, size_t n)
{
    float one = 0, most = 0;

    for (size_t i = 0; i < n; i++)
        one = fmaxf(one, fabsf(v[i]));
    for (size_t i = 0; i < n; i += 8) {
        most = fmaxf(most, fmaxf(four(v + i, 1), four(v + i, -1)));
        most = fmaxf(most, fmaxf(four(v + i + 2, 1), four(v + i + 2, -1)));
    }
    return fmaxf(one / STEP_MAX, most / FOUR_MAX);
}

void dense_pack_i8(struct dense_i8 *w, size_t row, float *values)
{
    int8_t *block = w->weights + row / DENSE_ROWS * DENSE_ROWS * w->cols + row % DENSE_ROWS * 4;
    float step, inverse;
    int32_t sum = 0;

    for (size_t i = 0; w->factor != NULL && i < w->cols; i++)
        values[i] /= w->factor[i];
    step = step_of(values, w->cols);
    inverse = step > 0 ? 1.0f / step : 0;
    for (size_t i = 0; i < w->cols; i++) {
        int v = (int)lrintf(values[i] * inverse);

        block[i / 4 * 4 * DENSE_ROWS + i % 4] = (int8_t)v;
        sum += v;
    }
    w->scales[row] = step;
    w->sums[row] = sum;
}

void dense_pack_f32(struct dense_f32 *w, size_t row, const float *values)
{
    float *block = w->weights + row / DENSE_ROWS * DENSE_ROWS * w->cols + row % DENSE_ROWS;

    for (size_t i = 0; i < w->cols; i++)
        block[i * DENSE_ROWS] = values[i];
}
