/* Several samples of one answer: what most of them say is the answer, and how many say so is a
 * sign of whether it is right (self-consistency: Wang and others, 2022, arXiv:2203.11171). One
 * of them is given out whole. Loop thread only. */
#ifndef PROXY_VOTE_H
#define PROXY_VOTE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

/* The first answer included. */
#define VOTE_MAX 8

struct decoder_result;
struct local_request;
struct request;
struct vote;

/* Asks for route.vote - 1 samples beside the answer that is under way, with a temperature; as
 * many as there is room for. Nothing happens where the answer is not looked at. */
void vote_start(struct request *r, const struct local_request *ask);

/* The first answer has ended; it is in r->recorded. Are there samples to be waited for? Then
 * local_voted() comes. */
bool vote_wait(struct request *r, enum status st, const struct decoder_result *result);

/* All are there. Puts the one that most agree with into r->recorded and *result, and how many
 * do into r->votes. ST_NOMEM. */
enum status vote_count(struct request *r, struct decoder_result *result) MUST_CHECK;

/* Is a sample under way? */
bool vote_is_open(const struct request *r);

/* What is under way ends soon, and is counted as far as it has come. */
void vote_cancel(struct request *r);
/* … and is not counted at all. */
void vote_call_off(struct request *r);

#endif
