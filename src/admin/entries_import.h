/* Entries from elsewhere into the cache of a running ibid. */
#ifndef ADMIN_ENTRIES_IMPORT_H
#define ADMIN_ENTRIES_IMPORT_H

#include <stddef.h>

struct admin_call;
struct admin_view;

/* Bytes that one call may bring: one entry of the largest answer that is stored, at least. */
size_t entries_import_bytes_max(const struct admin_view *v);

/* POST /admin/v1/entries: lines as `ibid cache export` writes them, for an ibid with the same
 * secret. Answers how many lines were dealt with, up to the first one that the store had no
 * room for in its queue (from there on they may be sent again), and of them how many were
 * taken, had expired, were no whole entry. */
void entries_import(struct admin_call *c);

#endif
