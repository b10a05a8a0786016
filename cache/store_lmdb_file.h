/* The LMDB file behind store_lmdb.c: records in the order they were written, each
 * found by its number. The only files that see LMDB are store_lmdb_*.c.
 *
 * One thread writes (begin … commit); any others read at the same time. */
#ifndef CACHE_STORE_LMDB_FILE_H
#define CACHE_STORE_LMDB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

struct store_lmdb_file;

struct store_lmdb_record {
    uint64_t number; /* 1 and up, in the order of writing */
    uint64_t expires_ms;
    struct digest key, partition;
};

/* Takes the folder for this process (made if it is missing), opens or begins the
 * file; one that is not ours or is damaged is set aside as *.bad. ST_UNAVAILABLE
 * with `why`: in use by another process, no permission, no room. */
enum status store_lmdb_file_open(const char *folder, uint64_t bytes_max,
                                 struct store_lmdb_file **out, char *why,
                                 size_t why_cap) MUST_CHECK;
/* Sets the present file aside and begins a new one. Nobody else uses `f` now. */
enum status store_lmdb_file_renew(struct store_lmdb_file *f, char *why,
                                  size_t why_cap) MUST_CHECK;
void store_lmdb_file_close(struct store_lmdb_file *f);

/* `frame` lies in the file and is valid until the visit returns. false stops. */
typedef bool store_lmdb_file_visit_fn(void *owner, const struct store_lmdb_record *r,
                                      struct span frame);

/* Up to n records from number `from` on; *next is the number to go on with, 0 when
 * there are no more. Frames that are not looked at are not read from the disk.
 * ST_INVALID: this is no file of ours. */
enum status store_lmdb_file_walk(struct store_lmdb_file *f, uint64_t from, size_t n,
                                 store_lmdb_file_visit_fn *visit, void *owner,
                                 uint64_t *next) MUST_CHECK;

/* Gives back to the system what reading has mapped in since last time, when that
 * is much (or anything at all: always). Not from within a visit or between begin and commit. */
void store_lmdb_file_trim(struct store_lmdb_file *f, bool always);

/* --- the writer ---------------------------------------------------------------------- */

struct store_lmdb_size {
    uint64_t entries, bytes;
};

enum status store_lmdb_file_begin(struct store_lmdb_file *f) MUST_CHECK;
/* ST_LIMIT: the file is full. Numbers rise from put to put. */
enum status store_lmdb_file_put(struct store_lmdb_file *f, const struct store_lmdb_record *r,
                                struct span frame) MUST_CHECK;
/* ST_NOTFOUND when there is none. */
enum status store_lmdb_file_delete(struct store_lmdb_file *f, uint64_t number) MUST_CHECK;
enum status store_lmdb_file_oldest(struct store_lmdb_file *f,
                                   struct store_lmdb_record *out) MUST_CHECK;
/* As it would be after a commit now. */
void store_lmdb_file_size(struct store_lmdb_file *f, struct store_lmdb_size *out);
/* On the disk when this returns ST_OK, but for the last commit before a power cut.
 * Anything else: nothing since begin happened. ST_LIMIT: the disk is full. */
enum status store_lmdb_file_commit(struct store_lmdb_file *f) MUST_CHECK;
void store_lmdb_file_abort(struct store_lmdb_file *f);
/* What the last failure of the writer was, in words. */
const char *store_lmdb_file_why(const struct store_lmdb_file *f);

#endif
