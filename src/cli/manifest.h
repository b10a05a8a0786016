/* deploy/models.manifest: which models can be fetched, from where, and what their
 * files' digests are. The text is built into the binary. Pure. */
#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

#define MANIFEST_MODELS_MAX 32
#define MANIFEST_FILES_MAX  8
#define MANIFEST_PARTS_MAX  8 /* packages of a model, and members of a file */

struct manifest_file {
    char name[64];
    uint64_t bytes;
    struct digest sha256;
    /* Its bytes are these files, one behind the other, of whichever package has them. */
    char members[MANIFEST_PARTS_MAX][192];
    size_t member_count;
};

struct manifest_package {
    char name[64], version[32];
    uint64_t bytes;
};

struct manifest_model {
    char name[64];
    char kind[16]; /* "encoder", "decoder" */
    uint64_t parameters;
    char licence[32];
    char origin[128];
    struct manifest_package packages[MANIFEST_PARTS_MAX];
    size_t package_count;
    struct manifest_file files[MANIFEST_FILES_MAX];
    size_t file_count;
};

struct manifest {
    struct manifest_model models[MANIFEST_MODELS_MAX];
    size_t count;
};

/* ST_INVALID or ST_LIMIT with the line in *line. */
enum status manifest_parse(struct span text, struct manifest *out, unsigned *line) MUST_CHECK;
/* What fetching it takes. */
uint64_t manifest_package_bytes(const struct manifest_model *m);
/* The one built in. Aborts if it is malformed: a bug, not an input. */
void manifest_builtin(struct manifest *out);
/* NULL: no such model. */
const struct manifest_model *manifest_find(const struct manifest *m, const char *name);

/* Generated from the file at build time. */
extern const char manifest_text[];

#endif
