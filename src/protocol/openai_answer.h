/* OpenAI's chat answers, whole and streamed, and its errors: the other half of
 * openai_chat_protocol. What each does is said in protocol.h and collector.h. */
#ifndef PROTOCOL_OPENAI_ANSWER_H
#define PROTOCOL_OPENAI_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "protocol/answer.h"

struct buf;
struct event_run;
struct fold;
struct json;
struct protocol_failure;
struct protocol_live;
struct protocol_text;

/* Is it an error object, or an answer that has one? */
bool openai_answer_has_error(const struct json *root);
/* Reads a "usage" of prompt_tokens and completion_tokens. */
void openai_answer_usage(const struct json *usage, struct answer *a);

void openai_answer_judge(const struct json *root, struct answer *a);
void openai_answer_replay(struct event_run *r, const struct json *root);
enum status openai_answer_render(struct buf *out, const struct protocol_text *t) MUST_CHECK;

extern const struct answer_shape openai_answer_shape;
extern const struct protocol_live openai_answer_live;
extern const struct fold openai_fold;

enum status openai_error_write(struct buf *out, const struct protocol_failure *f) MUST_CHECK;
enum status openai_error_write_event(struct buf *out,
                                     const struct protocol_failure *f) MUST_CHECK;

#endif
