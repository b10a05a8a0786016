/* The settings of a subcommand: defaults, then the file of -c, then the environment. */
#ifndef CLI_CONFIG_LOAD_H
#define CLI_CONFIG_LOAD_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct config;

/* For a subcommand that takes no arguments but -c FILE and --help. -1: *out is
 * filled, go on; else the exit status, everything said. */
int config_load(int argc, char **argv, const char *command, struct config *out) MUST_CHECK;

/* Its arguments alone: *file is that of -c, or NULL. */
int config_load_arguments(int argc, char **argv, const char *command,
                          const char **file) MUST_CHECK;

/* Nothing is printed; `why` says what is wrong, its file and line first. */
enum status config_load_quietly(const char *file, struct config *out, char *why,
                                size_t why_cap) MUST_CHECK;

/* The same without arguments; file: NULL for none. */
int config_load_file(const char *file, struct config *out) MUST_CHECK;

#endif
