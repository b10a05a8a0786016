#include "proxy/screen_rules.h"

#include "base/compiler.h"

void screen_rules_init(struct screen_rules *out, const struct config *c)
{
    const enum config_rule own[] = {c->privacy.email, c->privacy.phone,       c->privacy.iban,
                                    c->privacy.card,  c->privacy.national_id, c->privacy.host,
                                    c->privacy.key,   c->privacy.private_key, c->privacy.jwt,
                                    c->privacy.name,  c->privacy.date};

    *out = (struct screen_rules){.strict = false};
    _Static_assert(ARRAY_LEN(own) == PRIVACY_PATTERN, "a rule of each class but the patterns");
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        out->of[i] = config_rule_of(c, own[i]);
        out->strict |= out->of[i] > RULE_COUNT;
    }
    for (size_t i = 0; i < c->pattern_count; i++)
        out->strict |= config_pattern_rule(c, &c->patterns[i]) > RULE_COUNT;
}
