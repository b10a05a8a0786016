/* Mixtures of experts (Shazeer et al. 2017, Jiang et al. 2024): which few of a layer's
 * feed-forwards a token goes through, and how much each of them counts. Pure; any thread. */
#ifndef ENGINE_EXPERTS_H
#define ENGINE_EXPERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expert_choice {
    uint32_t expert;
    float weight;
};

/* The `used` likeliest by softmax(scores[count]), likeliest first, the lower number of
 * equals; renormalize: their weights are divided by their sum. scores are overwritten.
 * used <= count. Each is chosen once at most, also where scores are no numbers. */
void experts_choose(float *scores, size_t count, size_t used, bool renormalize,
                    struct expert_choice *out);

#endif
