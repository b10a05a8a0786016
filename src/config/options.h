/* The one table of settings: name, type, bounds, default, help. Everything that
 * knows a setting by name (file, environment, `ibid check`, docs/configuration.md)
 * reads this table; `listen` and the lists of records (records.h) are further rows
 * without a field. Read-only; any thread. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct config;

enum option_type {
    OPTION_TEXT,    /* char[size] */
    OPTION_PATH,    /* char[size], "~/" expanded */
    OPTION_URL,     /* char[size], may hold a password */
    OPTION_CHOICE,  /* char[size], one of `words` */
    OPTION_WORD,    /* an enum: the position in `words` */
    OPTION_SWITCH,  /* bool: words[0] or words[1] is true; on and off when NULL */
    OPTION_UINT,    /* uint64_t */
    OPTION_BYTES,   /* uint64_t, with units */
    OPTION_REAL,    /* double */
    OPTION_DATE,    /* char[size], YYYY-MM-DD */
    OPTION_WORDS,   /* char[size], a list, parted by blanks */
    OPTION_PAIRS,   /* char[size], a mapping: NAME=VALUE, parted by blanks */
    OPTION_LISTEN,  /* the list of listening addresses */
    OPTION_RECORDS, /* a list of records.h: not in the environment */
};

struct option {
    const char *name; /* "cache.threshold" */
    enum option_type type;
    size_t offset, size;      /* of the field in struct config; size: of a char array */
    const char *preset;       /* default, in the syntax of the file */
    uint64_t low, high;       /* UINT, BYTES: inclusive */
    double min, max;          /* REAL: inclusive */
    const char *const *words; /* NULL-terminated */
    const char *help;         /* one sentence, no full stop */
};

#define OPTIONS_ENV_MAX 64

/* In the order of the file: the keys of one section stand together. */
extern const struct option options_table[];
extern const size_t options_table_count;

/* "cache" of "cache.threshold"; empty for a key at the top. */
struct span options_section(const struct option *o);
/* "threshold" of "cache.threshold". */
struct span options_key(const struct option *o);
/* NULL when there is none. `section` may be empty; then `key` may also be the full
 * name with its dot. */
const struct option *options_find(struct span section, struct span key);
bool options_has_section(struct span section);
/* The name that was probably meant: "cache.threshold"; NULL when nothing is near. */
const char *options_nearest(struct span section, struct span key);

/* "IBID_CACHE_THRESHOLD" and a NUL. */
void options_env_name(const struct option *o, char out[OPTIONS_ENV_MAX]);

/* Reads `text` into the field. ST_INVALID or ST_LIMIT with `why`: "'1.5' is not
 * within 0..1". Not for OPTION_RECORDS. OPTION_LISTEN adds one address. */
enum status options_set(struct config *c, const struct option *o, struct span text, char *why,
                        size_t why_cap) MUST_CHECK;

/* The value in the syntax of the file. Not for the last two. */
enum status options_write(const struct config *c, const struct option *o, bool mask,
                          struct buf *out) MUST_CHECK;
/* "0..1", "1..64", "on | off | shadow"; nothing for free text. */
enum status options_write_bounds(const struct option *o, struct buf *out) MUST_CHECK;
/* "number", "bytes", "path", ... */
const char *options_type_name(const struct option *o);

#endif
