/* Rotary positions (Su et al. 2021): pairs of a head's values are turned by angles that grow
 * with the position. */
#ifndef ENGINE_ROPE_H
#define ENGINE_ROPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

/* Which values are a pair: the rows of a file are in the order of one or the other. */
enum rope_pairs {
    ROPE_NEIGHBOURS, /* 2i and 2i + 1; "NORM" in llama.cpp */
    ROPE_HALVES,     /* i and i + dimensions / 2; "NEOX" */
};

/* YaRN (Peng et al. 2023): pairs that turn often within the original context keep their speed,
 * those that turn seldom are stretched, and those between are in part. */
struct rope_yarn {
    float original;   /* positions that the model was first trained with; 0: no YaRN */
    float fast, slow; /* turns in them, from which on, and up to which */
};

/* Pair i is turned by position / (stretch factor_i) base^(-2i / dimensions). */
struct rope_scheme {
    enum rope_pairs pairs;
    size_t dimensions; /* of a head, the first ones; even; the others stay */
    float base, stretch;
    float
        magnitude; /* what is turned is multiplied by it, and by YaRN's 1 + ln(stretch) / 10 */
    struct rope_yarn yarn;
};

struct rope {
    enum rope_pairs pairs;
    size_t half;      /* dimensions / 2 */
    float *cos, *sin; /* owned: [positions][half] */
};

uint64_t rope_bytes(const struct rope_scheme *s, size_t positions);
/* factors: [dimensions / 2], or NULL for ones. ST_NOMEM. */
enum status rope_init(struct rope *r, const struct rope_scheme *s, const float *factors,
                      size_t positions) MUST_CHECK;
/* Of one that rope_init() left, or of zeros. */
void rope_release(struct rope *r);

/* One head at position `pos`, in place. */
void rope_turn(const struct rope *r, float *head, size_t pos);

#endif
