/* What a command leaves for programs: one JSON object on the standard output, or a file. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"

struct json_writer;

/* The members; the braces are there. */
typedef void output_members_fn(struct json_writer *w, const void *of);

/* In one piece, so that no half of it is ever read; a megabyte at most. false: what is wrong
 * was said. */
bool output_json(output_members_fn *write, const void *of) MUST_CHECK;

/* Writes it anew. Likewise. */
bool output_file(const char *path, struct span text) MUST_CHECK;

#endif
