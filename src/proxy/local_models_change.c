/* A model in memory keeps its weights and its answers; its new adapters are opened beside the
 * old ones. One that is not is looked at, as at the start. One that is broken takes what the
 * settings say, and is looked at again with that. */
#include "proxy/local_models_change.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_models.h"
#include "proxy/local_tiers.h"

bool local_models_change_wanted(const struct local_models *m, const struct config *c)
{
    for (size_t i = 0; i < m->count; i++) {
        struct config_model next;

        config_models_get(c, i, &next);
        if (next.adapters[0] != '\0' || m->tiers[i].settings.own.adapters[0] != '\0')
            return true;
    }
    return false;
}

/* --- on the thread ------------------------------------------------------------------------ */

static void run_open(struct work *w, unsigned worker)
{
    struct tier *t = CONTAINER_OF(w, struct tier, work);

    (void)worker;
    t->result = local_adapters_change(t->next.own.adapters, t->next.own.name, t->loaded.decoder,
                                      &t->loaded.adapters, &t->others, &t->err);
}

static void run_look(struct work *w, unsigned worker)
{
    struct tier *t = CONTAINER_OF(w, struct tier, work);

    (void)worker;
    t->result = local_loading_open(&t->next, true, &t->found, &t->err);
}

/* --- on the loop -------------------------------------------------------------------------- */

static void end(struct tier *t)
{
    t->change = CHANGE_NONE;
    t->change_loaded = false;
}

void local_models_change_drop(struct local_models *m)
{
    m->changing = false;
    for (size_t i = 0; i < m->count; i++) {
        struct tier *t = &m->tiers[i];

        local_adapters_close(&t->others);
        local_loading_close(&t->found);
        end(t);
    }
    for (size_t i = 0; i < m->count && !m->closing; i++)
        local_models_go_on(&m->tiers[i]);
}

static void on_changed(struct loop_msg *msg)
{
    struct local_models *m = CONTAINER_OF(msg, struct local_models, change_msg);
    char why[sizeof(m->tiers[0].err.text) + 160];

    m->change_told = false;
    if (!m->changing || m->closing)
        return;
    for (size_t i = 0; i < m->count; i++) {
        const struct tier *t = &m->tiers[i];

        if (t->change != CHANGE_FAILED)
            continue;
        snprintf(why, sizeof(why), "model '%s': %s", t->settings.own.name, t->err.text);
        local_models_change_drop(m);
        m->changed(m->change_owner, why);
        return;
    }
    m->changed(m->change_owner, NULL);
    assert(!m->changing);
}

static void tell_if_read(struct local_models *m)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->tiers[i].change == CHANGE_WANTED || m->tiers[i].change == CHANGE_READING)
            return;
    }
    m->change_told = true;
    loop_defer(m->loop, &m->change_msg, on_changed);
}

static void read_it(struct tier *t)
{
    t->change = CHANGE_READING;
    t->change_loaded = t->state == TIER_LOADED || t->state == TIER_LEAVING;
    local_models_work(t, t->change_loaded ? run_open : run_look);
}

void local_models_change_step(struct tier *t)
{
    if (t->change == CHANGE_READING)
        t->change = t->result == ST_OK ? CHANGE_READ : CHANGE_FAILED;
    else if (t->change == CHANGE_WANTED && t->state == TIER_BROKEN)
        t->change = CHANGE_READ;
    else if (t->change == CHANGE_WANTED && !t->working)
        read_it(t);
    else
        return;
    tell_if_read(t->set);
}

enum status local_models_change_start(struct local_models *m, const struct config *c,
                                      local_models_changed_fn *changed, void *owner)
{
    enum status st = m->changing
                         ? ST_OVERLOAD
                         : local_voices_reserve(&m->voices, m->count * LOCAL_ADAPTERS_MAX);

    if (st != ST_OK)
        return st;
    m->changing = true;
    m->changed = changed;
    m->change_owner = owner;
    for (size_t i = 0; i < m->count; i++) {
        struct tier *t = &m->tiers[i];
        struct config_model own;

        config_models_get(c, i, &own);
        t->next = t->settings;
        memcpy(t->next.own.adapters, own.adapters, sizeof(own.adapters));
        t->change = CHANGE_WANTED;
    }
    for (size_t i = 0; i < m->count; i++)
        local_models_change_step(&m->tiers[i]);
    return ST_OK;
}

/* A model whose adapters are as they were, by their names and files, is not touched. */
static void adopt_one(struct tier *t)
{
    struct local_models *m = t->set;
    size_t model = (size_t)(t - m->tiers);
    const struct local_adapters *next = t->change_loaded ? &t->others : &t->found.adapters;
    bool known = t->state != TIER_BROKEN;

    local_voices_change(&m->voices, model, &t->next,
                        !known             ? NULL
                        : t->change_loaded ? &t->loaded
                                           : &t->found,
                        next, t->change_loaded ? &t->loaded.adapters : NULL);
    t->settings = t->next;
    if (t->change_loaded) {
        t->loaded.adapters = t->others;
        t->others.count = 0;
        for (size_t i = 0; i < t->loaded.adapters.count; i++)
            t->loaded.adapters.list[i].kept = false; /* the list's own, from now on */
        t->memory_bytes = local_loading_memory(&t->loaded, &t->settings);
    } else if (known) {
        t->memory_bytes = t->found.memory_bytes;
        local_loading_close(&t->found);
    } else {
        t->retry_us = 0;
    }
}

void local_models_change_adopt(struct local_models *m)
{
    assert(m->changing);
    for (size_t i = 0; i < m->count; i++)
        adopt_one(&m->tiers[i]);
    local_models_change_drop(m); /* what is left of it */
}
