/* The configuration of the store, as the cache takes it. */
#ifndef CLI_STORE_SETTINGS_H
#define CLI_STORE_SETTINGS_H

#include <stdbool.h>

#include "cache/store.h"

struct config;
struct endpoint;

/* Its texts are borrowed from *c. */
struct store_options store_settings(const struct config *c);

/* Is this where the store is? */
bool store_settings_is_place(const struct config *c, const struct endpoint *to);

#endif
