/* Choosing the next token from logits. Deterministic for a seed. One thread. */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct sampler_item {
    float logit;
    uint32_t id;
};

struct sampler {
    float temperature;          /* 0: greedy */
    float top_p;                /* 1: off (Holtzman et al. 2020) */
    uint32_t top_k;             /* 0: off */
    uint64_t state;             /* of the random numbers */
    struct sampler_item *items; /* owned, room for all tokens */
    size_t cap;
};

enum status sampler_init(struct sampler *s, float temperature, float top_p, uint32_t top_k,
                         uint64_t seed, size_t vocabulary) MUST_CHECK;
void sampler_release(struct sampler *s);
uint32_t sampler_likeliest(const float *logits, size_t n);
/* NaN never wins; ties go to the lower id. */
uint32_t sampler_next(struct sampler *s, const float *logits, size_t n);

#endif
