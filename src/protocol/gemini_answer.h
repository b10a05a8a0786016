/* Gemini's answers, whole and streamed, and its errors: the other half of the two protocols
 * of gemini_content.c. */
#ifndef PROTOCOL_GEMINI_ANSWER_H
#define PROTOCOL_GEMINI_ANSWER_H

#include "base/compiler.h"
#include "base/status.h"

struct answer;
struct answer_shape;
struct buf;
struct event_run;
struct fold;
struct json;
struct protocol_failure;

/* One GenerateContentResponse; a list of those that a stream had. */
void gemini_answer_judge(const struct json *root, struct answer *a);
void gemini_answer_judge_list(const struct json *root, struct answer *a);
void gemini_answer_replay(struct event_run *r, const struct json *root);

/* {"error": {"code", "message", "status"}} */
enum status gemini_answer_error(struct buf *out, const struct protocol_failure *f) MUST_CHECK;
enum status gemini_answer_error_event(struct buf *out,
                                      const struct protocol_failure *f) MUST_CHECK;

extern const struct answer_shape gemini_answer_shape; /* of a whole one */
extern const struct answer_shape gemini_answer_list;  /* of a list */
extern const struct fold gemini_answer_fold;

#endif
