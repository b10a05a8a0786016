/* An answer that must be valid of a schema: the next token is the one that the model would
 * choose among those that leave a way to the end, and before the tokens run out the text is
 * ended. One thread. */
#ifndef ENGINE_CONSTRAINT_H
#define ENGINE_CONSTRAINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"
#include "engine/sampler.h"
#include "engine/schema/schema.h"
#include "engine/tokenizer/tokenizer.h"

#define CONSTRAINT_NO_TEXT UINT16_MAX

struct constraint {
    const struct tokenizer *tokens; /* borrowed */
    const uint32_t *ends;           /* borrowed; tokens that end an answer */
    size_t end_count;
    uint32_t vocabulary;
    const uint16_t *first;    /* borrowed; of constraint_first_bytes() */
    struct schema_walk *walk; /* owned; NULL: anything goes */
    struct buf text;          /* of the token that is looked at, or of an end */
    bool too_short;           /* not even the shortest text fits the answer: it will be cut */
};

/* The first byte of each token, CONSTRAINT_NO_TEXT of those that are no text: to be freed. It
 * takes some milliseconds; one is enough for all answers of a session. NULL: out of memory. */
uint16_t *constraint_first_bytes(const struct tokenizer *t, uint32_t vocabulary) MUST_CHECK;

/* `most`: tokens of the answer. */
enum status constraint_init(struct constraint *c, const struct schema *s,
                            uint32_t most) MUST_CHECK;
/* Once initialized, or zeroed. */
void constraint_release(struct constraint *c);

/* What follows. Logits of what may not become -INFINITY. false: no token may. */
bool constraint_next(struct constraint *c, struct sampler *s, float *logits,
                     uint32_t *id) MUST_CHECK;
/* The text goes on with a token, which may, and can be ended with `left` more. false: it can
 * not; it stands where it stood. */
bool constraint_go(struct constraint *c, uint32_t id, uint32_t left) MUST_CHECK;
/* There is nothing that may follow. */
bool constraint_is_done(const struct constraint *c);
/* Appends what ends the text; *tokens of it. */
enum status constraint_end(struct constraint *c, struct buf *out, uint32_t *tokens) MUST_CHECK;

#endif
