/* The finder that the settings under `privacy.` ask for. */
#ifndef CLI_PRIVACY_SETTINGS_H
#define CLI_PRIVACY_SETTINGS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct config;
struct finder;

/* *out is NULL when nothing is looked for. `config` outlives it. `why`: which pattern is
 * wrong, and where. */
enum status privacy_settings_open(const struct config *config, struct finder **out, char *why,
                                  size_t why_cap) MUST_CHECK;

#endif
