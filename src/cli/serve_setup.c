#include "cli/serve_setup.h"

#include <stdio.h>

#include "cli/cascade_default.h"
#include "cli/privacy_settings.h"
#include "cli/router_default.h"
#include "config/config.h"
#include "proxy/calibration.h"
#include "proxy/prompt.h"
#include "proxy/routing.h"
#include "proxy/setup.h"
#include "proxy/upstreams.h"

void serve_setup_reason(struct serve_reasons *r, const char *setting, const char *why)
{
    if (r->count < SERVE_REASONS_MAX)
        snprintf(r->list[r->count++], SERVE_REASON_BYTES, "%s%s%s", setting,
                 setting[0] != '\0' ? ": " : "", why);
}

/* A wrong URL or CA file is a mistake in the configuration, not an outage. */
static enum status open_upstreams(const struct serve_place *at, const struct setup *before,
                                  struct setup *s, struct serve_reasons *reasons)
{
    char why[1280] = "out of memory";
    enum status st = upstreams_open(at->loop, at->connector, s->config,
                                    before != NULL ? before->upstreams : NULL, &s->upstreams,
                                    why, sizeof(why));

    if (st != ST_OK)
        serve_setup_reason(reasons, "", why);
    return st;
}

static enum status open_routing(const struct serve_place *at, struct setup *s, char *odd,
                                size_t odd_cap, struct serve_reasons *reasons)
{
    enum status st = routing_open(s->config, span_of(router_default), at->encoder_id,
                                  &s->routing, odd, odd_cap);

    if (st == ST_OK)
        return st;
    serve_setup_reason(reasons, "", odd[0] != '\0' ? odd : status_text(st));
    odd[0] = '\0';
    return st;
}

static enum status open_cascade(struct setup *s, char *odd, size_t odd_cap,
                                struct serve_reasons *reasons)
{
    enum status st =
        calibration_open(s->config, span_of(cascade_default), &s->cascade, odd, odd_cap);

    if (st == ST_OK)
        return st;
    serve_setup_reason(reasons, "route.cascade", odd);
    odd[0] = '\0';
    return st;
}

static enum status open_prompts(struct setup *s, struct serve_reasons *reasons)
{
    char why[2 * CONFIG_TEXT_MAX] = "out of memory";
    enum status st = prompt_open(s->config, &s->prompts, why, sizeof(why));

    if (st != ST_OK)
        serve_setup_reason(reasons, "", why);
    return st;
}

static enum status open_finder(struct setup *s, struct serve_reasons *reasons)
{
    char why[256] = "no memory";
    enum status st = privacy_settings_open(s->config, &s->finder, why, sizeof(why));

    if (st != ST_OK)
        serve_setup_reason(reasons, "privacy_patterns", why);
    return st;
}

enum status serve_setup_open(const struct serve_place *at, const struct config *c,
                             const struct setup *before, struct setup **out, bool *begun,
                             struct serve_odd *odd, struct serve_reasons *why)
{
    struct setup *s;
    enum status each[5], st = setup_open(at->loop, c, at->gone, at->owner, &s);

    *odd = (struct serve_odd){.routing = ""};
    *begun = st == ST_OK;
    if (st != ST_OK) {
        serve_setup_reason(why, "", status_text(st));
        return st;
    }
    /* All of them: who mends the one hears of the next. */
    each[0] = open_upstreams(at, before, s, why);
    each[1] = open_routing(at, s, odd->routing, sizeof(odd->routing), why);
    each[2] = open_finder(s, why);
    each[3] = open_cascade(s, odd->cascade, sizeof(odd->cascade), why);
    each[4] = open_prompts(s, why);
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(each); i++)
        st = each[i];
    if (st != ST_OK) {
        setup_unref(s);
        return st;
    }
    *out = s;
    return ST_OK;
}
