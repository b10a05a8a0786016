/* Is a word one that everybody uses? A rare one that changes is a name, a product, a
 * place: decisive. English. */
#ifndef CACHE_GUARD_COMMON_H
#define CACHE_GUARD_COMMON_H

#include <stdbool.h>

#include "base/span.h"

#define GUARD_COMMON_RARE 1.5

/* `word` in lower case; its simple endings (-s, -ed, -ing, -er, -ly) are looked through. */
bool guard_common(struct span word);
/* What a word says: 0.4 ("make") to 1.5 (GUARD_COMMON_RARE: not common). */
double guard_common_weight(struct span word);

/* One letter more, less, other, or two neighbours exchanged (Damerau 1964); of words with
 * three or four letters only the last, and not the first letter. */
bool guard_common_typo(struct span a, struct span b);

#endif
