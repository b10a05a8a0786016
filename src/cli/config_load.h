/* The settings of a subcommand: defaults, then the file of -c, then the environment. */
#ifndef CLI_CONFIG_LOAD_H
#define CLI_CONFIG_LOAD_H

#include "base/compiler.h"

struct config;

/* For a subcommand that takes no arguments but -c FILE and --help. -1: *out is
 * filled, go on; else the exit status, everything said. */
int config_load(int argc, char **argv, const char *command, struct config *out) MUST_CHECK;

/* The same without arguments; file: NULL for none. */
int config_load_file(const char *file, struct config *out) MUST_CHECK;

#endif
