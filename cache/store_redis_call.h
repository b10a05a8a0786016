/* A command to a Redis of one server or several. Loop thread only. */
#ifndef CACHE_STORE_REDIS_CALL_H
#define CACHE_STORE_REDIS_CALL_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/store_redis_conn.h"

struct store_redis_call;
struct store_redis_nodes;

/* As store_redis_conn_send(); `key` is the one that the command is about. It goes to the server
 * that has it, and after it within the deadline when it has moved. */
enum status store_redis_call_send(struct store_redis_nodes *n, struct span key,
                                  const struct span *part, int parts, uint64_t deadline_us,
                                  store_redis_done_fn *done, void *owner,
                                  struct store_redis_call **out) MUST_CHECK;
/* To the server `which`, 0 to store_redis_nodes_count() - 1, and nowhere else. */
enum status store_redis_call_send_to(struct store_redis_nodes *n, unsigned which,
                                     const struct span *part, int parts, uint64_t deadline_us,
                                     store_redis_done_fn *done, void *owner) MUST_CHECK;
/* `done` does not come. */
void store_redis_call_forget(struct store_redis_call *call);

#endif
