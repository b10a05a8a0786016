/* The settings under `tls:` as the files of an identity, and whether those are any good. */
#ifndef CLI_TLS_SETTINGS_H
#define CLI_TLS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"
#include "rt/io_tls_identity.h"

struct config;

/* Of the clients' listeners, or of the admin listener; borrowed from *c. */
struct io_tls_identity_files tls_settings_files(const struct config *c, bool admin);

/* Reads all files that the settings name. ST_INVALID: they can not be used, or the certificate
 * is not valid now. On ST_OK `why` may be a warning; else it is empty. */
enum status tls_settings_check(const struct config *c, char *why, size_t why_cap) MUST_CHECK;

/* What is dangerous about an identity that works: false, and `why` is empty, when nothing is.
 */
bool tls_settings_warn(const struct config *c, const struct io_tls_identity_facts *f, char *why,
                       size_t why_cap);

#endif
