/* Which price a model has, found at once for those that were asked for lately. Loop thread
 * only. */
#ifndef PROXY_PRICES_H
#define PROXY_PRICES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct config;
struct config_price;

#define PRICES_SLOTS    64 /* a power of two */
#define PRICES_NAME_MAX 96 /* longer names are looked up each time */

struct prices_slot {
    const struct config_price *price; /* NULL: it has none */
    uint32_t name_bytes;
    char name[PRICES_NAME_MAX];
};

struct prices {
    const struct config *config; /* borrowed */
    struct prices_slot slots[PRICES_SLOTS];
};

void prices_init(struct prices *p, const struct config *c);
/* config_price_find() */
const struct config_price *prices_find(struct prices *p, struct span model);

#endif
