/* What local_models.c and local_models_change.c share; of no interest to anybody else. Each
 * model is a tier, in one state. The thread has what its state says; all else is the loop's. */
#ifndef PROXY_LOCAL_TIERS_H
#define PROXY_LOCAL_TIERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/engine.h"
#include "proxy/local_adapters.h"
#include "proxy/local_loading.h"
#include "proxy/local_models.h"
#include "proxy/local_voices.h"
#include "rt/loop.h"
#include "rt/work.h"

enum tier_state {
    TIER_BROKEN,
    TIER_LOOKING,  /* the thread looks whether it is there now */
    TIER_UNLOADED, /* known, not in memory */
    TIER_WANTED,   /* waits for room */
    TIER_LOADING,  /* the thread reads it */
    TIER_LOADED,
    TIER_LEAVING,   /* loaded, takes no more requests, and goes with its last answer */
    TIER_UNLOADING, /* the thread lets it go */
};

/* Other adapters, on their way. In each but CHANGE_NONE the model stays as it is: it is neither
 * read nor let go. */
enum tier_change {
    CHANGE_NONE,
    CHANGE_WANTED, /* what the thread does for the model is awaited */
    CHANGE_READING,
    CHANGE_READ, /* `found` or `others` is there, or neither: the model is broken */
    CHANGE_FAILED,
};

struct tier {
    struct local_models *set;
    struct local_settings settings; /* read by the thread; changed when none is at work */
    enum tier_state state;
    struct model_info info; /* zeros: not known */
    uint64_t memory_bytes;  /* when loaded */
    char why[512], guessing[256];
    uint64_t retry_us; /* of TIER_BROKEN */
    uint64_t began_us; /* of TIER_LOADING */
    uint64_t used_us;  /* last */
    uint32_t users, waiting;
    uint32_t pressing;         /* of the users: those that are not patient */
    struct list_node waiters;  /* struct local_use */
    struct list_node patients; /* of the same, those that are */
    struct loop_msg idle;
    bool is_idle_told;           /* `idle` is under way */
    struct list_node wanted;     /* in set->wanted */
    struct local_loading loaded; /* the thread's in TIER_LOADING and TIER_UNLOADING */
    uint64_t loads_total, failures_total, evictions_total;
    struct model_speed speed; /* as `ibid models bench` has measured it */
    uint64_t noted_us;
    double tokens_per_s, prompt_per_s, answer_tokens; /* lately; 0: not known */

    struct work work; /* one at a time */
    bool working;
    enum status result;
    struct engine_error err;

    /* of local_models_change.c */
    enum tier_change change;
    bool change_loaded;           /* what was read is for the model in memory */
    struct local_settings next;   /* read by the thread in CHANGE_READING */
    struct local_loading found;   /* of a model that is not in memory: only looked at */
    struct local_adapters others; /* of one that is, opened for that */
};

struct local_models {
    struct loop *loop;
    struct work_pool *pool;
    struct local_voices voices;
    struct tier *tiers; /* owned, [count] */
    size_t count;
    uint64_t loaded_max_bytes, load_timeout_us;
    struct list_node wanted; /* tiers that wait for room, in their order */
    unsigned busy;           /* works in flight */
    uint64_t waits_total;
    double wait_s, load_s;
    struct decoder_counts gone; /* of sessions that were closed: what only grows */
    uint64_t gone_pushed_out;   /* of their queues */
    bool changing;              /* local_models_change_start() to its end */
    void (*changed)(void *owner, const char *why);
    void *change_owner;
    struct loop_msg change_msg;
    bool change_told; /* it is under way */
    bool closing;
    void (*closed)(void *owner);
    void *owner;
    struct loop_msg last;
};

/* The thread is given something to do for a model for which it does nothing yet. */
void local_models_work(struct tier *t, work_run_fn *run);
/* Goes on with what the change has held up. */
void local_models_go_on(struct tier *t);
/* On the loop, when the thread has done something else for it, or what the change asked for. */
void local_models_change_step(struct tier *t);

#endif
