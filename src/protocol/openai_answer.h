/* OpenAI's answers, whole and streamed: the other half of openai_chat_protocol. What
 * each does is said in protocol.h. */
#ifndef PROTOCOL_OPENAI_ANSWER_H
#define PROTOCOL_OPENAI_ANSWER_H

#include "protocol/answer.h"
#include "protocol/protocol.h"

struct json;

enum status openai_answer_read(struct arena *arena, struct span body,
                               struct answer *out) MUST_CHECK;
enum status openai_answer_write(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp) MUST_CHECK;
enum status openai_answer_write_stream(struct buf *out, const struct answer *a,
                                       const struct answer_stamp *stamp, bool include_usage,
                                       size_t *cursor, size_t budget, bool *done) MUST_CHECK;
enum status openai_answer_write_begin(struct buf *out, struct span model,
                                      const struct answer_stamp *stamp) MUST_CHECK;
enum status openai_answer_write_delta(struct buf *out, struct span model,
                                      const struct answer_stamp *stamp,
                                      struct span text) MUST_CHECK;
enum status openai_answer_write_finish(struct buf *out, const struct answer *a,
                                       const struct answer_stamp *stamp,
                                       bool include_usage) MUST_CHECK;
enum status openai_answer_write_error(struct buf *out, unsigned status, struct span type,
                                      struct span code, struct span param,
                                      struct span message) MUST_CHECK;
enum status openai_answer_write_stream_error(struct buf *out, struct span type,
                                             struct span message) MUST_CHECK;

/* Renders the parts of an answer as answer.json, with a placeholder id and time, and
 * sets id_at and created_at. `head` are further top-level members ("" or ",\"a\":1"),
 * `choice` further members of the choice, alike; `message` the members of the message,
 * `logprobs` and `usage` JSON or empty. */
struct openai_answer_parts {
    struct span model, head, message, logprobs, finish_reason, choice, usage;
};
enum status openai_answer_render(struct buf *out, const struct openai_answer_parts *p,
                                 struct answer *a) MUST_CHECK;

/* Is it an error object, or an answer that has one? */
bool openai_answer_has_error(const struct json *root);

/* Sets model, text, finish_reason, usage and verdict from a->json's tree. */
void openai_answer_judge(const struct json *root, struct answer *a);

#endif
