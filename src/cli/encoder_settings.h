/* What the settings say of the encoder. */
#ifndef CLI_ENCODER_SETTINGS_H
#define CLI_ENCODER_SETTINGS_H

#include "engine/engine.h"

struct config;

/* Borrows from the settings. */
struct encoder_options encoder_settings(const struct config *c);

#endif
