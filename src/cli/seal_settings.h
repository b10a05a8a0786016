/* The keys that stored answers are sealed with, read from the file that the settings name. */
#ifndef CLI_SEAL_SETTINGS_H
#define CLI_SEAL_SETTINGS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct config;
struct seal_ring;

/* No file is named: ST_OK with an empty ring. Anything else: `why`, which begins with the
 * setting's name; a file that everybody can read is refused too. */
enum status seal_settings_read(const struct config *c, struct seal_ring *out, char *why,
                               size_t why_cap) MUST_CHECK;

#endif
