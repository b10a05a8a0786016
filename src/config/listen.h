/* The list of listening addresses, and what an address looks like. Pure. */
#ifndef CONFIG_LISTEN_H
#define CONFIG_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct config;

/* "HOST:PORT", "[V6]:PORT", either after "tls:", or "unix:/path"; `why` says what else it is.
 */
bool listen_is_address(const char *text, char *why, size_t why_cap) MUST_CHECK;

bool listen_is_tls(const char *text);
/* Without the "tls:". */
const char *listen_place(const char *text);

/* Port 0 (a free one) never clashes. */
bool listen_is_any_port(const char *text);

/* Adds one address. ST_INVALID; ST_LIMIT when the list is full. */
enum status listen_add(struct config *c, struct span text, char *why,
                       size_t why_cap) MUST_CHECK;

#endif
