/* Identical requests in flight at several replicas on one Redis: the replica that has the lease
 * on their key asks, the others look for its answer in the store until it is there, until the
 * lease is free (then one of them has it), or until their patience ends (then they ask for
 * themselves). A lease belongs to a flight, and goes with it from one leader to the next. What
 * fails on the way costs a call to the upstream, never an answer. Loop thread only. */
#ifndef PROXY_LEASE_H
#define PROXY_LEASE_H

struct flight;

/* The flight has landed; who waits elsewhere finds its answer, or the lease free. Safe when
 * there is none. */
void lease_end(struct flight *f);

#endif
