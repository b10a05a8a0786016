/* Anthropic's answers, whole and streamed, and its errors: the other half of
 * anthropic_messages_protocol. What each does is said in protocol.h and collector.h. */
#ifndef PROTOCOL_ANTHROPIC_ANSWER_H
#define PROTOCOL_ANTHROPIC_ANSWER_H

#include "base/compiler.h"
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

void anthropic_answer_judge(const struct json *root, struct answer *a);
void anthropic_answer_replay(struct event_run *r, const struct json *root);
enum status anthropic_answer_render(struct buf *out, const struct protocol_text *t) MUST_CHECK;

/* {"type": "error", "error": {"type", "message"}}, the type by the status. */
enum status anthropic_answer_error(struct buf *out,
                                   const struct protocol_failure *f) MUST_CHECK;
enum status anthropic_answer_error_event(struct buf *out,
                                         const struct protocol_failure *f) MUST_CHECK;

extern const struct answer_shape anthropic_answer_shape;
extern const struct protocol_live anthropic_answer_live;
extern const struct fold anthropic_fold;

#endif
