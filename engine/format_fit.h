/* The scale, and the offset, that bring codes nearest to some values: the least sum of
 * w (x - (d q + m))^2, w > 0 how much each value counts. Codes are rounded for a number of
 * scales around the obvious one; for the codes at hand the best d, and m, follow by least
 * squares. Pure; any thread. */
#ifndef ENGINE_FORMAT_FIT_H
#define ENGINE_FORMAT_FIT_H

#include <stddef.h>
#include <stdint.h>

/* d for whole codes low..high, with low < 0 < high; 0 when all values are. */
float format_fit_scale(const float *x, const float *w, size_t n, int low, int high);
/* d >= 0 and m for codes 0..high. With `below` m <= 0: an offset that is subtracted. */
void format_fit_offset(const float *x, const float *w, size_t n, int high, int below, float *d,
                       float *m);
/* d for codes that are values of a table, in rising order. */
float format_fit_table(const float *x, const float *w, size_t n, const int8_t *table,
                       size_t count);

/* The code whose d q + m is nearest to x. */
int format_fit_code(float x, float d, float m, int low, int high);
/* The place in the table of the value that is nearest to x / d. */
size_t format_fit_place(float x, float d, const int8_t *table, size_t count);

#endif
