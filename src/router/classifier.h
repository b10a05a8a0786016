/* Is the small model enough for this text? Two logistic regressions over the encoder's vector
 * and what the text shows (features.h): P(the large model answers better), P(the small one
 * does). For a text without a vector (no encoder, longer than its window) there is a second
 * pair over the features alone. Immutable once made; any thread. */
#ifndef ROUTER_CLASSIFIER_H
#define ROUTER_CLASSIFIER_H

#include <stdint.h>

#include "base/span.h"
#include "router/curve.h"
#include "router/features.h"

#define CLASSIFIER_DIMENSIONS_MAX 4096
#define CLASSIFIER_ENCODER_MAX    192

enum { CLASSIFIER_LARGE_BETTER, CLASSIFIER_SMALL_BETTER, CLASSIFIER_SIDES };

/* Of log(p / (1 - p)): an offset, and what each input adds. */
struct classifier_side {
    double offset;
    double feature[FEATURES_COUNT];
};

struct classifier {
    uint32_t dimensions; /* of the vectors; 0: it has learned from features alone */
    char encoder[CLASSIFIER_ENCODER_MAX]; /* whose vectors: its id; empty with 0 */
    struct classifier_side with_vector[CLASSIFIER_SIDES], without[CLASSIFIER_SIDES];
    float *vector[CLASSIFIER_SIDES]; /* owned: what each of its numbers adds; NULL with 0 */

    /* What it was like where it was learned, by examples that were held out. */
    uint64_t examples;
    double usual[FEATURES_COUNT]; /* means */
    struct curve_setting settings[CURVE_SETTINGS];
};

struct classifier_verdict {
    double enough; /* P(the small model answers as well as the large one, or better) */
    double loss;   /* quality that its answer is expected to cost, -1..1: what decides */
};

/* `vector` may be NULL; else it has c->dimensions numbers. `features` as features_of() makes
 * them. */
struct classifier_verdict classifier_judge(const struct classifier *c, const float *vector,
                                           const double *features);

/* The loss above which the large model is asked: so that about this share of questions like
 * those learned from go to it; so that at most this quality is lost on the average of them,
 * with as few going there as can be. */
double classifier_line_for_share(const struct classifier *c, double share);
double classifier_line_for_quality(const struct classifier *c, double quality_loss_max);

void classifier_release(struct classifier *c);

#endif
