/* What a fresh answer teaches about its question's neighbours: compared with theirs, it says
 * whether the decision was right, and which answers say the same. */
#ifndef PROXY_COMPARE_H
#define PROXY_COMPARE_H

struct answer;
struct entry;
struct request;

/* Before the answer's entry, `stored`, is put. Does nothing unless the policy is
 * `bounded` or it decides in the shadow (cache.semantic). What is found is noted in the
 * journal. Neighbours in memory are compared; the one that is learned from, if need be, when
 * the store has read it, within its deadline: the request is held until then, nobody waits. */
void compare_answer(struct request *r, const struct answer *a, struct entry *stored);

#endif
