/* Entries on the admin listener, each a function that answers its call. Removed means: from
 * memory, index and store when it is answered; the replicas on one Redis hear of it. */
#ifndef ADMIN_ENTRIES_H
#define ADMIN_ENTRIES_H

struct admin_call;

/* GET /admin/v1/entries/KEY: whose it is, of when, how large; no text of it. */
void entries_show(struct admin_call *c);
/* DELETE /admin/v1/entries/KEY */
void entries_remove(struct admin_call *c);
/* DELETE /admin/v1/entries?partition=HEX&tenant=HEX&older_than_s=N&dry_run=1, or ?all=1: those
 * for which all of that holds; with dry_run they are counted. */
void entries_purge(struct admin_call *c);

#endif
