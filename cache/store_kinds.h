/* The kinds of store there are: store.c chooses one by the URL's scheme. */
#ifndef CACHE_STORE_KINDS_H
#define CACHE_STORE_KINDS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct connector;
struct loop;
struct store;
struct store_options;

enum status store_memory_open(struct loop *loop, const struct store_options *o,
                              struct store **out) MUST_CHECK;
enum status store_lmdb_open(struct loop *loop, const struct store_options *o,
                            struct store **out, char *why, size_t why_cap) MUST_CHECK;
enum status store_redis_open(struct loop *loop, struct connector *connector,
                             const struct store_options *o, struct store **out, char *why,
                             size_t why_cap) MUST_CHECK;

#endif
