/* What Ollama's clients ask about models: /api/tags, /api/ps, /api/version, /api/show. Of
 * ours, where there is no upstream to ask. */
#ifndef PROXY_OLLAMA_H
#define PROXY_OLLAMA_H

#include <stdbool.h>

struct request;

/* true: the request is a GET of these and its answer is on its way. */
bool ollama_serve(struct request *r);

/* The answer to /api/show for the model that the request names. */
void ollama_show(struct request *r);

#endif
