/* A few query rows and the page they look at, and softmax between the two products of
 * attend_floats_body.h or attend_bytes_body.h. Included by attend_body.h.
 *
 * Where these are functions of `rows`, it is a constant, and sums stay in registers. */
#ifndef ENGINE_KERNELS_ATTEND_TILE_BODY_H
#define ENGINE_KERNELS_ATTEND_TILE_BODY_H

#include <stdbool.h>

#include "engine/kernels/attend_slot.h"
#include "engine/kernels/vec16_body.h"

#define LANES  16
#define LOWEST (-1e30f) /* below every score; minus itself it is 0, not NaN */
#define INLINE static inline __attribute__((always_inline))

struct shares; /* attend_bytes_body.h */

struct tile {
    const float *q;
    const int16_t *q16;                 /* CACHE_Q8: the same times 1 / q_scale */
    const float *q_scale;               /* [rows] */
    const struct shares *const *shares; /* CACHE_Q8: [rows] */
    const uint32_t *first, *last;
    float *most, *sums, *out; /* [rows], [rows][LANES], [rows][width] */
    float (*p)[ATTEND_PAGE];  /* scores, then exp(score - the largest of the page) */
    /* [rows]: what `out` is to be multiplied by, and what the page adds to it */
    float *factor, *weight;
    size_t width, start, depth; /* start: position of the page; depth: values to be read */
    ptrdiff_t ahead; /* from this page to the next, whose bytes are fetched meanwhile */
};

/* The hardware reads ahead within pages of the system's, and of a few streams. */
INLINE void fetch(const void *p, ptrdiff_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)ahead));
}

/* The positions of a page that a row does not see get `v`. */
static void fill_unseen(float *s, uint32_t first, uint32_t last, size_t start, float v)
{
    for (size_t j = 0; j < ATTEND_PAGE; j++) {
        if (start + j < first || start + j > last)
            s[j] = v;
    }
}

INLINE bool sees_all(const struct tile *t, size_t r)
{
    return t->first[r] <= t->start && t->last[r] >= t->start + ATTEND_PAGE - 1;
}

INLINE float largest_score(const struct tile *t, size_t r)
{
    float *s = t->p[r];

    if (!sees_all(t, r))
        fill_unseen(s, t->first[r], t->last[r], t->start, LOWEST);
    return vec16_largest(vec16_max(vec16_load(s), vec16_load(s + LANES)));
}

INLINE void exponents(const struct tile *t, size_t rows)
{
    vec16 before = vec16_all(LOWEST), now = before, after;
    float here[TILE_ROWS];

    for (size_t r = 0; r < rows; r++) {
        here[r] = largest_score(t, r);
        before = vec16_with(before, r, t->most[r]);
        now = vec16_with(now, r, here[r]);
        t->most[r] = here[r] > t->most[r] ? here[r] : t->most[r];
    }
    after = vec16_max(before, now);
    vec16_store(t->factor, vec16_exp(vec16_sub(before, after)));
    vec16_store(t->weight, vec16_exp(vec16_sub(now, after)));
    for (size_t r = 0; r < rows; r++) {
        float *s = t->p[r], *sums = t->sums + r * LANES;
        vec16 most = vec16_all(here[r]), sum;
        vec16 a = vec16_exp(vec16_sub(vec16_load(s), most));
        vec16 b = vec16_exp(vec16_sub(vec16_load(s + LANES), most));

        vec16_store(s, a);
        vec16_store(s + LANES, b);
        if (!sees_all(t, r)) {
            fill_unseen(s, t->first[r], t->last[r], t->start, 0);
            a = vec16_load(s);
            b = vec16_load(s + LANES);
        }
        sum = vec16_mul(vec16_load(sums), vec16_all(t->factor[r]));
        vec16_store(sums, vec16_fma(vec16_add(a, b), vec16_all(t->weight[r]), sum));
    }
}

/* out[r][c..] = factor * it + by * a */
INLINE void add_to_out(const struct tile *t, size_t r, size_t c, vec16 a, float by)
{
    float *y = t->out + r * t->width + c;

    vec16_store(y,
                vec16_fma(a, vec16_all(by), vec16_mul(vec16_load(y), vec16_all(t->factor[r]))));
}

#endif
