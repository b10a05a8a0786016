/* Is this file a whole LMDB database? LMDB trusts what it maps: a flipped bit in a page
 * of its tree ends the process, at this start and at each that follows. So every page
 * that LMDB would follow is looked at before it gets the file. Values are not read:
 * frames have a checksum of their own. */
#ifndef CACHE_STORE_LMDB_CHECK_H
#define CACHE_STORE_LMDB_CHECK_H

#include "base/compiler.h"
#include "base/status.h"

/* ST_OK: whole, or not there, or empty. ST_INVALID: damaged, or something else; *why
 * says what. Other: it could not be read. Reads the tree, some ten bytes an entry. */
enum status store_lmdb_check(const char *path, const char **why) MUST_CHECK;

#endif
