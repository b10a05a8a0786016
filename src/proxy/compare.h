/* What a fresh answer teaches about its question's neighbours: compared with theirs, it says
 * whether the decision was right, and which answers say the same. */
#ifndef PROXY_COMPARE_H
#define PROXY_COMPARE_H

struct answer;
struct request;

/* Before the answer's entry is put. Does nothing unless the policy is
 * `bounded` or it decides in the shadow (cache.semantic). What is found is noted in the
 * journal. Only neighbours in memory are compared: nobody waits for the store. */
void compare_answer(struct request *r, const struct answer *a);

#endif
