/* A model on this machine as a judge, for a command that asks it one case after the other. One
 * thread. */
#ifndef CLI_LOCAL_JUDGE_H
#define CLI_LOCAL_JUDGE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct config;
struct judge_case;
struct local_judge;

/* `model`: a name or a path; NULL: judge.local_model, or local.model. false: what is wrong was
 * said on stderr. */
bool local_judge_open(const struct config *c, const char *model,
                      struct local_judge **out) MUST_CHECK;
void local_judge_close(struct local_judge *j);

/* P(yes), judge.local_bias included; below 0: it has said neither. ST_LIMIT: the texts do not
 * fit its context. */
enum status local_judge_ask(struct local_judge *j, const struct judge_case *c,
                            double *yes) MUST_CHECK;

#endif
