/* What requests are answered by and a reload may change: the settings, and the parts that are
 * made of them. A setup never changes; a reload makes another one beside it, and a request
 * ends under the one it began with. Loop thread only. */
#ifndef PROXY_SETUP_H
#define PROXY_SETUP_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "proxy/prices.h"
#include "proxy/screen_rules.h"
#include "rt/loop.h"

struct cascade;
struct config;
struct finder;
struct prompt_book;
struct routing;
struct upstreams;

struct setup {
    struct config *config;       /* owned */
    struct upstreams *upstreams; /* owned; NULL: no upstream */
    struct routing *routing;     /* owned; NULL: ibid chooses between no models */
    struct finder *finder;       /* owned; NULL: no personal data is looked for */
    struct prompt_book *prompts; /* owned; NULL: a local model is asked as ibid was */
    struct cascade *cascade;     /* owned; NULL: `sure` is not calibrated */
    struct screen_rules rules;
    struct prices prices;
    uint64_t generation; /* 1: that of the start */
    unsigned refs;
    struct loop *loop;
    struct loop_msg end;
    void (*gone)(void *owner);
    void *owner;
};

/* One reference, and a copy of the settings; whoever opens it puts the parts into it, made of
 * that copy. `gone` comes once, later, when the last reference is given back and the parts are
 * closed; the setup is gone then. */
enum status setup_open(struct loop *loop, const struct config *c, void (*gone)(void *owner),
                       void *owner, struct setup **out) MUST_CHECK;
struct setup *setup_ref(struct setup *s);
/* NULL: nothing. */
void setup_unref(struct setup *s);

#endif
