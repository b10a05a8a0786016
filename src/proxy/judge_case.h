/* What a judge is asked, and how it is said to one: do two questions ask for the same, does an
 * answer answer its question? As turns for a model on this machine, whose first token is the
 * verdict, or as a request to an upstream, whose first word is. No text of a judge goes any
 * further than this. Pure; any thread. */
#ifndef PROXY_JUDGE_CASE_H
#define PROXY_JUDGE_CASE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

enum judge_about {
    JUDGE_SAME,    /* two questions: is the answer to the one that to the other? */
    JUDGE_ANSWERS, /* a question and an answer to it */
};

struct judge_case {
    enum judge_about about;
    struct span first, second;
};

/* Of each text, for a model here and for an upstream; what is longer is cut. */
#define JUDGE_LOCAL_BYTES    600
#define JUDGE_UPSTREAM_BYTES 4000
#define JUDGE_TURNS_MAX      9

/* "Yes" and "No": struct decoder_request's words, 1 token of an answer. */
#define JUDGE_WORDS 2
extern const struct span judge_case_words[JUDGE_WORDS];

/* Solved examples, then the case; texts are in `arena`, or static. */
enum status judge_case_turns(const struct judge_case *c, struct arena *arena,
                             struct decoder_turn turns[JUDGE_TURNS_MAX], size_t *n) MUST_CHECK;
/* P(yes) of the two, as the model has it; `bias` is added to its log-odds. Below 0: it would
 * have said neither. */
double judge_case_chance(const struct decoder_result *r, double bias);

/* The body of a request in OpenAI's chat dialect. */
enum status judge_case_write(const struct judge_case *c, struct span model,
                             struct buf *out) MUST_CHECK;
/* 1: yes, 0: no, below 0: neither, by the first word that was said. */
double judge_case_said(struct span text);

#endif
