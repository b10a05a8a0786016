#include "cli/privacy_settings.h"

#include "config/config.h"
#include "privacy/finder.h"

enum status privacy_settings_open(const struct config *config, struct finder **out, char *why,
                                  size_t why_cap)
{
    const struct {
        enum config_rule rule;
        enum privacy_class class;
    } rows[] = {
        {config->privacy.email, PRIVACY_EMAIL},
        {config->privacy.phone, PRIVACY_PHONE},
        {config->privacy.iban, PRIVACY_IBAN},
        {config->privacy.card, PRIVACY_CARD},
        {config->privacy.national_id, PRIVACY_NATIONAL_ID},
        {config->privacy.host, PRIVACY_HOST},
        {config->privacy.key, PRIVACY_KEY},
        {config->privacy.private_key, PRIVACY_PRIVATE_KEY},
        {config->privacy.jwt, PRIVACY_JWT},
        {config->privacy.name, PRIVACY_NAME},
        {config->privacy.date, PRIVACY_DATE},
    };
    struct finder_pattern patterns[CONFIG_PATTERNS_MAX];
    struct finder_options o = {.patterns = patterns, .pattern_count = config->pattern_count};

    _Static_assert(CONFIG_PATTERNS_MAX <= FINDER_PATTERNS_MAX, "the finder takes them all");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (config_rule_of(config, rows[i].rule) != RULE_OFF)
            o.classes |= PRIVACY_BIT(rows[i].class);
    }
    for (size_t i = 0; i < config->pattern_count; i++)
        patterns[i] =
            (struct finder_pattern){config->patterns[i].name, config->patterns[i].regex};
    *out = NULL;
    if (o.classes == 0 && o.pattern_count == 0)
        return ST_OK;
    return finder_open(&o, out, why, why_cap);
}
