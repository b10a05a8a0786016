/* The streams of OpenAI's older completions: the other half of openai_completions_protocol. */
#ifndef PROTOCOL_COMPLETIONS_STREAM_H
#define PROTOCOL_COMPLETIONS_STREAM_H

struct event_run;
struct fold;
struct json;

void completions_stream_replay(struct event_run *r, const struct json *root);

extern const struct fold completions_stream_fold;

#endif
