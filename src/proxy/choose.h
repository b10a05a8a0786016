/* Which upstream a request is for. */
#ifndef PROXY_CHOOSE_H
#define PROXY_CHOOSE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct request;

/* Sets r->upstream (NULL: none takes it). *changed: the model was an alias, the body names the
 * true one now; or members of it were controls, r->wishes has them and the body no more. It is
 * to be decoded again. */
enum status choose_upstream(struct request *r, bool *changed) MUST_CHECK;

#endif
