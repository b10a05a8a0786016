/* What `privacy.` says is done with each class of what is found: settled when the settings are
 * read. Read-only afterwards; any thread. */
#ifndef PROXY_SCREEN_RULES_H
#define PROXY_SCREEN_RULES_H

#include <stdbool.h>

#include "config/config.h"
#include "privacy/classes.h"

struct screen_rules {
    enum config_rule of[PRIVACY_CLASSES]; /* not of PRIVACY_PATTERN */
    bool strict;                          /* a rule, or one of a pattern, is more than count */
};

void screen_rules_init(struct screen_rules *out, const struct config *c);

#endif
