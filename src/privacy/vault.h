/* The values of one request and the placeholders that stand for them: EMAIL_1_QKRX, the same
 * for the same value, numbered by class in the order in which they come, so that they stay
 * what they are while a conversation grows. The letters at the end are in no text of the
 * request, so nothing else can be taken for a placeholder.
 *
 * Lives in an arena. One thread at a time. */
#ifndef PRIVACY_VAULT_H
#define PRIVACY_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "privacy/classes.h"

#define VAULT_VALUES_MAX 4096
#define VAULT_MARK       4 /* letters */
/* "PRIVATEKEY_4096_QKRX" */
#define VAULT_PLACEHOLDER_MAX 24
#define VAULT_SLOTS           8192

struct vault_value {
    struct span text; /* arena */
    enum privacy_class class;
    uint32_t number; /* from 1 on, of its class */
};

struct vault {
    struct arena *arena; /* borrowed */
    struct digest seed;
    char mark[VAULT_MARK + 2]; /* "_QKRX" and a NUL */
    struct vault_value *values;
    uint16_t *slots;                  /* by hash: index + 1 */
    uint16_t *order[PRIVACY_CLASSES]; /* by number - 1; NULL: none of the class */
    uint32_t counts[PRIVACY_CLASSES];
    size_t count;
};

/* The letters follow from the seed; those that are anywhere in `all` are passed over. */
enum status vault_init(struct vault *v, struct arena *arena, const struct digest *seed,
                       struct span all) MUST_CHECK;
/* Appends the value's placeholder, which it has had or gets. ST_LIMIT: too many values. */
enum status vault_put(struct vault *v, enum privacy_class c, struct span value,
                      struct buf *out) MUST_CHECK;

/* The first placeholder in `text`, and its value; false: there is none. */
bool vault_find(const struct vault *v, struct span text, size_t *at, size_t *len,
                struct span *value);
/* How many bytes at the end of `text` may be the beginning of a placeholder. */
size_t vault_open_end(const struct vault *v, struct span text);

#endif
