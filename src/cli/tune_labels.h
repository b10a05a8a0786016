/* Questions of which somebody knows how well a small and a large model answered, for
 * `ibid tune router`. */
#ifndef CLI_TUNE_LABELS_H
#define CLI_TUNE_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "router/training.h"

struct tune_labels {
    struct training_example *list; /* owned; without vectors yet */
    size_t count, room;
    size_t passed_over; /* outcomes that say nothing here */
    struct arena texts; /* owned */
};

/* JSON lines: {"prompt": …, "small": 0..1 or a truth value, "large": likewise}; "text" stands
 * for "prompt", "weak" and "strong" for the models; without "large" that one was right. Lines
 * of route.outcomes_file, told by their "signs", as well: the upstream counts as right. Other
 * members are not looked at. False: line and trouble were said on stderr. */
bool tune_labels_read(const char *path, struct tune_labels *out) MUST_CHECK;
void tune_labels_release(struct tune_labels *l);

#endif
