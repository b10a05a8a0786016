/* Products of bytes meet in 16-bit sums of two. Bytes are signed: those of the codes give their
 * sign to the inputs', so that 128 * 127 * 2 fits as well. */
#define BYTE_ZERO    0
#define SIGNED_CODES 0
#define COLUMNS      4
#define ABREAST      2
#define PANELS_SOON  1

#include "engine/kernels/quant_vec_body.h"

typedef ints partial;

#include "engine/kernels/quant_body.h"

/* The sum is made here and now. Left alone, gcc makes all products of a group first, then has
 * no registers for them, and a third of the instructions put them aside. */
#define NOW(sum) __asm__("" : "+x"(sum))

/* In 16 bits as long as they fit: two instructions for what takes three otherwise. */
static inline partial sum_begin(ints start)
{
    (void)start;
    return ints_zero();
}

static inline partial sum_more(partial sum, ints codes, ints x)
{
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
    NOW(sum);
    return sum;
}

static inline partial sum_signed(partial sum, ints codes, ints x)
{
    return sum_more(sum, _mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
}

static inline ints sum_end(ints start, partial sum)
{
    start = _mm256_add_epi32(start, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
    NOW(start);
    return start;
}

const struct quant_kernels quant_avx2 = QUANT_TABLE;
