/* The steps of the pipeline, one file each. What a step reads and leaves is in
 * struct request; the order is in pipeline.c. */
#ifndef PROXY_STEPS_H
#define PROXY_STEPS_H

#include "proxy/request.h"

enum step_result decode_enter(struct request *r);

enum step_result choose_enter(struct request *r);
enum step_result screen_enter(struct request *r);
enum step_result admit_enter(struct request *r);

enum step_result veil_enter(struct request *r);

enum step_result exact_enter(struct request *r);
void exact_cancel(struct request *r);

enum step_result gather_enter(struct request *r);
void gather_cancel(struct request *r);

enum step_result join_enter(struct request *r);
void join_cancel(struct request *r);

enum step_result rewrite_enter(struct request *r);

enum step_result lookup_enter(struct request *r);
void lookup_cancel(struct request *r);

enum step_result recall_enter(struct request *r);
void recall_cancel(struct request *r);

enum step_result lease_enter(struct request *r);
void lease_cancel(struct request *r);

enum step_result replay_enter(struct request *r);

enum step_result route_enter(struct request *r);

enum step_result vectors_enter(struct request *r);
void vectors_cancel(struct request *r);

enum step_result count_enter(struct request *r);
void count_cancel(struct request *r);

enum step_result local_enter(struct request *r);
void local_cancel(struct request *r);

enum step_result forward_enter(struct request *r);
void forward_cancel(struct request *r);

#endif
