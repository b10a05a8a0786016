/* The upstream step's doors for the other events of a request. */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"

struct request;

/* More of the client's body arrived while it is relayed. */
void forward_upload(struct request *r, struct span data);
void forward_upload_end(struct request *r);
/* The client took some of the answer: let the upstream go on. */
void forward_drained(struct request *r);
/* The same of one who follows it (follow.h). */
void forward_go_on(struct request *r);

/* The upstream's word about this credential, by the status of its answer. */
void forward_note_credential(struct request *r, unsigned status);

/* Asks the upstream while another step waits; beside.h says what comes of it. false: it could
 * not be asked. */
bool forward_beside(struct request *r) MUST_CHECK;

#endif
