#include "cli/serve_reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/config_load.h"
#include "cli/serve_quota.h"
#include "cli/serve_tls.h"
#include "cli/serve_log.h"
#include "config/config.h"
#include "proxy/access_log.h"
#include "proxy/local_models_change.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"

/* Of a line in the log; the answer of the admin API has all of them. */
#define NAMES_BYTES 1024

static void end_if_gone(struct serve_reload *r)
{
    if (r->closing && r->setups == 0)
        r->closed(r->owner);
}

static void on_setup_gone(void *owner)
{
    struct serve_reload *r = owner;

    r->setups--;
    end_if_gone(r);
}

/* Only of its own part, so what else is missing stays. */
static void set_trouble(struct admin_view *v, const char *part, const char *why)
{
    size_t kept = 0;

    for (size_t i = 0; i < v->trouble_count; i++) {
        if (strcmp(v->troubles[i].part, part) != 0)
            v->troubles[kept++] = v->troubles[i];
    }
    v->trouble_count = kept;
    if (why[0] == '\0')
        return;
    log_at(LOG_WARN, NULL, kv_event("degraded"), kv_str("part", part), kv_str("why", why));
    if (kept == ADMIN_TROUBLES_MAX)
        return;
    v->troubles[kept].part = part;
    snprintf(v->troubles[kept].why, sizeof(v->troubles[kept].why), "%s", why);
    v->trouble_count++;
}

static void tell_odd(struct admin_view *v, const struct serve_odd *odd)
{
    set_trouble(v, "routing", odd->routing);
    set_trouble(v, "cascade", odd->cascade);
}

static enum status open_setup(struct serve_reload *r, const struct config *c,
                              struct setup **out, struct serve_reasons *why)
{
    struct serve_odd odd;
    bool begun;
    enum status st = serve_setup_open(&r->at, c, r->setup, out, &begun, &odd, why);

    r->setups += begun;
    if (st == ST_OK)
        tell_odd(r->view, &odd);
    return st;
}

enum status serve_reload_open(struct serve_reload *r, struct serve_reasons *why)
{
    enum status st;

    r->at.gone = on_setup_gone;
    r->at.owner = r;
    st = open_setup(r, r->started, &r->setup, why);
    if (st != ST_OK)
        return st;
    r->setup->generation = r->state.generation = 1;
    r->state.loaded_ms = clock_wall_ms();
    r->view->reloads = &r->state;
    r->view->reload = serve_reload_run;
    r->view->reload_owner = r;
    return ST_OK;
}

void serve_reload_close(struct serve_reload *r, void (*closed)(void *owner), void *owner)
{
    r->closing = true;
    r->closed = closed;
    r->owner = owner;
    free(r->running.next);
    free(r->running.reasons);
    r->running = (struct serve_reload_try){.next = NULL};
    setup_unref(r->setup);
    r->setup = NULL;
    end_if_gone(r);
}

/* --- reloading ---------------------------------------------------------------------------- */

/* The settings as they would be in force: those that need a restart are as they were. */
static enum status read_settings(const struct serve_reload *r, struct config *next,
                                 struct reload_report *out, struct serve_reasons *reasons)
{
    struct config_error err = {.text = "out of memory"};
    char why[SERVE_REASON_BYTES] = "out of memory";
    enum status st = config_load_quietly(r->file, next, why, sizeof(why));

    if (st != ST_OK) {
        serve_setup_reason(reasons, "", why);
        return st;
    }
    serve_quota_apply(r->quota, next);
    st = live_keep(r->started, next, &out->restart);
    /* What is right as a whole may not be so with a part of what was. */
    if (st == ST_OK)
        st = config_validate(next, &err);
    if (st == ST_OK)
        st = live_compare(r->setup->config, next, &out->changed);
    if (st != ST_OK)
        serve_setup_reason(reasons, "with the settings that need a restart as they are",
                           err.text);
    return st;
}

/* Both, or both as they were. */
static enum status adopt_logs(struct serve_reload *r, const struct config *c,
                              struct serve_reasons *reasons)
{
    char why[SERVE_REASON_BYTES] = "";
    enum status st = access_log_adopt(r->access_log, c, why, sizeof(why));

    if (st != ST_OK) {
        serve_setup_reason(reasons, "access_log.path", why);
        return st;
    }
    st = audit_adopt(r->audit, c, why, sizeof(why));
    if (st == ST_OK)
        return ST_OK;
    serve_setup_reason(reasons, "audit_log.path", why);
    if (access_log_adopt(r->access_log, r->setup->config, why, sizeof(why)) != ST_OK)
        serve_setup_reason(reasons, "access_log.path", why);
    return st;
}

/* All or none; but certificates that were good stay in use whatever becomes of the rest. */
static enum status adopt_parts(struct serve_reload *r, struct setup *s,
                               struct serve_reasons *reasons)
{
    char why[SERVE_REASON_BYTES] = "";
    enum status st = r->tls != NULL ? serve_tls_reload(r->tls, why, sizeof(why)) : ST_OK;

    if (st != ST_OK) {
        serve_setup_reason(reasons, "tls", why);
        return st;
    }
    st = adopt_logs(r, s->config, reasons);
    if (st != ST_OK)
        return st;
    st = proxy_adopt(r->proxy, s);
    if (st == ST_OK)
        return ST_OK;
    serve_setup_reason(reasons, "upstream.accept_file", status_text(st));
    (void)!adopt_logs(r, r->setup->config, reasons);
    return st;
}

static enum status adopt(struct serve_reload *r, const struct config *next,
                         struct serve_reasons *reasons)
{
    struct setup *s;
    enum status st = open_setup(r, next, &s, reasons);

    if (st != ST_OK)
        return st;
    st = adopt_parts(r, s, reasons);
    if (st != ST_OK) {
        setup_unref(s);
        return st;
    }
    s->generation = ++r->state.generation;
    r->state.loaded_ms = clock_wall_ms();
    setup_unref(r->setup);
    r->setup = s;
    return ST_OK;
}

static const char *join_names(const struct live_names *n, char out[NAMES_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n->count; i++) {
        int more = snprintf(out + len, NAMES_BYTES - len, "%s%s", i > 0 ? " " : "", n->list[i]);

        if (more < 0 || (size_t)more >= NAMES_BYTES - len)
            break;
        len += (size_t)more;
    }
    return out;
}

static void tell_adopted(const struct serve_reload *r, const struct reload_report *out)
{
    char changed[NAMES_BYTES], restart[NAMES_BYTES];

    log_at(LOG_INFO, NULL, kv_event("config_reloaded"),
           kv_u64("generation", r->state.generation),
           kv_str("changed", join_names(&out->changed, changed)),
           kv_str("needs_restart", join_names(&out->restart, restart)));
}

static void tell_refused(const struct serve_reasons *reasons, struct reload_report *out)
{
    for (size_t i = 0; i < reasons->count; i++) {
        log_at(LOG_ERROR, NULL, kv_event("config_refused"), kv_str("why", reasons->list[i]));
        if (out->reason_count < RELOAD_REASONS_MAX)
            snprintf(out->reasons[out->reason_count++], RELOAD_REASON_BYTES, "%s",
                     reasons->list[i]);
    }
}

static void finish(struct serve_reload *r, enum status st)
{
    struct serve_reload_try t = r->running;

    r->running = (struct serve_reload_try){.next = NULL};
    t.out->adopted = st == ST_OK;
    r->state.refused_last = !t.out->adopted;
    if (t.out->adopted) {
        r->state.adopted_total++;
        r->state.restart = t.out->restart;
        serve_log_level(t.next->log_level);
        tell_adopted(r, t.out);
    } else {
        r->state.refused_total++;
        if (t.reasons != NULL)
            tell_refused(t.reasons, t.out);
    }
    free(t.reasons);
    free(t.next);
}

static enum status check_serving(struct serve_reload *r)
{
    if (!r->closing && !r->proxy->draining)
        return ST_OK;
    serve_setup_reason(r->running.reasons, "", "ibid is being stopped");
    return ST_UNAVAILABLE;
}

/* The adapters are read: they and the settings are put in force together. */
static void on_adapters(void *owner, const char *why)
{
    struct serve_reload *r = owner;
    void (*done)(void *who) = r->running.done;
    void *who = r->running.who;
    enum status st = ST_INVALID;

    if (r->running.out == NULL) { /* closed meanwhile */
        if (why == NULL)
            local_models_change_drop(r->models);
        return;
    }
    if (why != NULL) {
        serve_setup_reason(r->running.reasons, "adapters", why);
    } else {
        st = check_serving(r);
        if (st == ST_OK)
            st = adopt(r, r->running.next, r->running.reasons);
        if (st == ST_OK)
            local_models_change_adopt(r->models);
        else
            local_models_change_drop(r->models);
    }
    finish(r, st);
    done(who);
}

static bool refuse_second(struct serve_reload *r, struct reload_report *out)
{
    out->adopted = false;
    snprintf(out->reasons[0], RELOAD_REASON_BYTES, "another reload is under way; try again");
    out->reason_count = 1;
    r->state.refused_total++;
    return true;
}

bool serve_reload_run(void *owner, struct reload_report *out, void (*done)(void *who),
                      void *who)
{
    struct serve_reload *r = owner;
    struct serve_reload_try *t = &r->running;
    enum status st;

    if (t->out != NULL)
        return refuse_second(r, out);
    *t = (struct serve_reload_try){.next = malloc(sizeof(*t->next)),
                                   .reasons = calloc(1, sizeof(*t->reasons)),
                                   .out = out,
                                   .done = done,
                                   .who = who};
    st = t->reasons != NULL && t->next != NULL ? ST_OK : ST_NOMEM;
    if (st == ST_OK)
        st = check_serving(r);
    if (st == ST_OK)
        st = read_settings(r, t->next, out, t->reasons);
    if (st == ST_OK && r->models != NULL && local_models_change_wanted(r->models, t->next)) {
        st = local_models_change_start(r->models, t->next, on_adapters, r);
        if (st == ST_OK)
            return false;
        serve_setup_reason(t->reasons, "adapters", status_text(st));
    } else if (st == ST_OK) {
        st = adopt(r, t->next, t->reasons);
    }
    finish(r, st);
    return true;
}
