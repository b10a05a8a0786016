/* What the settings say of the built-in model. */
#ifndef PROXY_DECODER_SETTINGS_H
#define PROXY_DECODER_SETTINGS_H

#include "engine/engine.h"

struct config;

/* Borrows from the settings. */
struct decoder_options decoder_settings(const struct config *c);

#endif
