/* The words of a text, one after the other, in small letters: letters and figures, and all
 * bytes beyond ASCII. Any bytes are a text; any thread. */
#ifndef ROUTER_WORDS_H
#define ROUTER_WORDS_H

#include <stdbool.h>

#include "base/span.h"

#define WORDS_BYTES_MAX 64

struct words {
    struct span rest; /* what has not been read yet */
    char text[WORDS_BYTES_MAX];
};

struct words words_of(struct span text);
/* In w->text until the next call; a longer one is cut. Empty: there is none left. */
struct span words_next(struct words *w);

/* Can it be part of a word? */
bool words_has(char c);

#endif
