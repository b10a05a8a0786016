#include "engine/experts.h"

#include <math.h>

static void softmax(float *s, size_t n)
{
    float most = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        most = s[i] > most ? s[i] : most;
    for (size_t i = 0; i < n; i++) {
        s[i] = expf(s[i] - most);
        sum += s[i] >= 0 ? s[i] : 0;
    }
    for (size_t i = 0; i < n; i++)
        s[i] = s[i] >= 0 && sum > 0 ? s[i] / sum : 0;
}

void experts_choose(float *scores, size_t count, size_t used, bool renormalize,
                    struct expert_choice *out)
{
    float sum = 0;

    softmax(scores, count);
    for (size_t k = 0; k < used; k++) {
        size_t best = 0;

        for (size_t i = 1; i < count; i++) {
            if (scores[i] > scores[best])
                best = i;
        }
        out[k] = (struct expert_choice){(uint32_t)best, scores[best]};
        sum += scores[best];
        scores[best] = -1; /* taken: below every probability */
    }
    for (size_t k = 0; renormalize && sum > 0 && k < used; k++)
        out[k].weight /= sum;
}
