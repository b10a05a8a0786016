/* The answers of OpenAI's responses, whole and streamed: the other half of
 * openai_responses_protocol. What each does is said in protocol.h and collector.h. */
#ifndef PROTOCOL_RESPONSES_ANSWER_H
#define PROTOCOL_RESPONSES_ANSWER_H

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "protocol/answer.h"

struct buf;
struct event_run;
struct event_writer;
struct fold;
struct json;
struct protocol_failure;
struct protocol_live;
struct protocol_text;

#define RESPONSES_ID_PREFIX "resp_"
/* The one item of an answer of the built-in model; ids of items count within a response. */
#define RESPONSES_ITEM_ID "msg_0"

void responses_answer_judge(const struct json *root, struct answer *a);
enum status responses_answer_render(struct buf *out, const struct protocol_text *t) MUST_CHECK;

/* A response of the built-in model that has begun, as an object. */
void responses_answer_begun(struct event_writer *w, struct span model,
                            const struct answer_stamp *stamp);
/* Its text as a part and as an item. */
void responses_answer_part(struct event_writer *w, struct span text);
void responses_answer_item(struct event_writer *w, struct span status, struct span text);

void responses_stream_replay(struct event_run *r, const struct json *root);
enum status responses_stream_error(struct buf *out,
                                   const struct protocol_failure *f) MUST_CHECK;

extern const struct answer_shape responses_answer_shape;
extern const struct protocol_live responses_stream_live;
extern const struct fold responses_stream_fold;

#endif
