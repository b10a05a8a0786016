/* Ollama's answers, whole and as lines of a stream, and its errors: the other half of the
 * protocols of ollama_chat.c. */
#ifndef PROTOCOL_OLLAMA_ANSWER_H
#define PROTOCOL_OLLAMA_ANSWER_H

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct answer;
struct answer_shape;
struct buf;
struct event_run;
struct fold;
struct json;
struct protocol_failure;
struct protocol_live;
struct protocol_text;

/* NAME and NAME:latest are one: without the tag. */
struct span ollama_answer_model(struct span name);

/* Of /api/chat and /api/generate: the text is in "message" or in "response". */
void ollama_answer_judge(const struct json *root, struct answer *a);
void ollama_answer_replay(struct event_run *r, const struct json *root);
enum status ollama_answer_render_chat(struct buf *out,
                                      const struct protocol_text *t) MUST_CHECK;
enum status ollama_answer_render_generate(struct buf *out,
                                          const struct protocol_text *t) MUST_CHECK;

/* {"error": message} */
enum status ollama_answer_error(struct buf *out, const struct protocol_failure *f) MUST_CHECK;
enum status ollama_answer_error_line(struct buf *out,
                                     const struct protocol_failure *f) MUST_CHECK;

extern const struct answer_shape ollama_answer_shape;
extern const struct protocol_live ollama_answer_live_chat, ollama_answer_live_generate;
extern const struct fold ollama_fold;

#endif
