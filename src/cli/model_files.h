/* A model's folder: are its files there and whole?
 *
 * Hashing 100 MB takes half a second, so what was verified is noted beside the files
 * (`.verified`: digest, size, time of change); a file that still has that size and
 * time is taken to be the same. Deleting the note makes the next look thorough. */
#ifndef CLI_MODEL_FILES_H
#define CLI_MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct manifest_model;

#define MODEL_FILES_PATH 2048

/* dir/name into out. false: too long. */
bool model_files_join(char out[MODEL_FILES_PATH], const char *dir, const char *name) MUST_CHECK;

/* Creates `path` and its parents. errno says why not. */
bool model_files_mkdir(const char *path) MUST_CHECK;

/* All files are there and have the right size; says nothing of their bytes. */
bool model_files_present(const char *folder, const struct manifest_model *m) MUST_CHECK;

/* Present, and unchanged since they were verified. */
bool model_files_noted(const char *folder, const struct manifest_model *m) MUST_CHECK;

/* Reads and compares every file. ST_NOTFOUND: one is missing; ST_INVALID: one has
 * other bytes; `why` names it. */
enum status model_files_verify(const char *folder, const struct manifest_model *m, char *why,
                               size_t why_cap) MUST_CHECK;

/* Notes that all files were verified. A failure costs time later, nothing else. */
void model_files_note(const char *folder, const struct manifest_model *m);

/* Bytes of all regular files below `folder`. */
uint64_t model_files_bytes(const char *folder);

/* Removes `folder` and what is in it. */
void model_files_remove(const char *folder);

#endif
