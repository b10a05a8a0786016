/* The file of a classifier: JSON, some kilobytes, and more where it carries examples to explain
 * itself by. */
#ifndef ROUTER_CLASSIFIER_FILE_H
#define ROUTER_CLASSIFIER_FILE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "router/classifier.h"

#define CLASSIFIER_FILE_MAX_BYTES ((size_t)16 << 20)

/* A labelled question of those it was learned from. */
struct classifier_example {
    struct span text;
    double small, large; /* how well either model answered */
    const float *vector; /* a unit vector of the classifier's dimensions */
};

/* `examples`: may be none. Appends. ST_LIMIT, ST_NOMEM: of the buffer. */
enum status classifier_file_write(const struct classifier *c,
                                  const struct classifier_example *examples, size_t count,
                                  struct buf *out) MUST_CHECK;

/* The caller's to release. ST_INVALID, ST_NOMEM; `why` says what is wrong. */
enum status classifier_file_read(struct span text, struct classifier *out, char *why,
                                 size_t why_cap) MUST_CHECK;

/* The examples of a file that classifier_file_read() took; all of it lives in `arena`. */
enum status classifier_file_examples(struct span text, uint32_t dimensions, struct arena *arena,
                                     struct classifier_example **out, size_t *count) MUST_CHECK;

#endif
