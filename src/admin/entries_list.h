/* What is stored, page by page and by partition: GET /admin/v1/entries?q=WORDS&partition=HEX&
 * tenant=HEX&limit=N&after=MS-KEY. Questions with `explain.questions: show` only. */
#ifndef ADMIN_ENTRIES_LIST_H
#define ADMIN_ENTRIES_LIST_H

struct admin_call;

void entries_list(struct admin_call *c);

#endif
