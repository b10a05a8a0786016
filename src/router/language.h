/* Which language a text is in, where it can be told at a glance: by its script, or by the
 * commonest words of a few that are written in Latin letters. */
#ifndef ROUTER_LANGUAGE_H
#define ROUTER_LANGUAGE_H

#include "base/span.h"

/* "en", "de", "ru", … (ISO 639-1); "" where nothing tells: too short, mixed, or another one.
 * Static. Any bytes are a text; of a longer one the first 4096 are read. Any thread. */
const char *language_of(struct span text);

#endif
