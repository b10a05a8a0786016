#include "proxy/prices.h"

#include <string.h>

#include "base/hash.h"
#include "config/config.h"

void prices_init(struct prices *p, const struct config *c)
{
    memset(p, 0, sizeof(*p));
    p->config = c;
}

const struct config_price *prices_find(struct prices *p, struct span model)
{
    struct prices_slot *s;

    if (p->config->price_count == 0 || model.len == 0)
        return NULL;
    if (model.len > PRICES_NAME_MAX)
        return config_price_find(p->config, model);
    s = &p->slots[hash_bytes(model, 0) % PRICES_SLOTS];
    if (!span_eq((struct span){s->name, s->name_bytes}, model)) {
        s->price = config_price_find(p->config, model);
        s->name_bytes = (uint32_t)model.len;
        memcpy(s->name, model.ptr, model.len);
    }
    return s->price;
}
