/* A whole answer as it is kept: as the upstream wrote it, but for the id and the time,
 * which give way to placeholders of a fixed width. Pure; any thread. */
#ifndef PROTOCOL_ANSWER_KEEP_H
#define PROTOCOL_ANSWER_KEEP_H

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct answer;
struct answer_shape;
struct arena;
struct json;

/* Sets a->json, in the arena, and its marks; model, text and finish_reason are moved into it
 * where they stand in it as they are. `root` is the parsed body. ST_NOMEM. */
enum status answer_keep(struct arena *arena, const struct answer_shape *shape, struct span body,
                        const struct json *root, struct answer *a) MUST_CHECK;

#endif
