/* Who answers: the order of rules, hard facts and what was learned, without a server. */
#include "proxy/routing.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "config/config.h"
#include "http/head.h"
#include "protocol/protocol.h"

static struct config *settings(void)
{
    struct config *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    config_defaults(c);
    strcpy(c->route.models, "auto gpt-*");
    strcpy(c->route.classifier, "off");
    return c;
}

static struct config_route *add_rule(struct config *c, const char *name, const char *to)
{
    struct config_route *u = &c->routes[c->route_count++];

    strcpy(u->name, name);
    strcpy(u->to, to);
    return u;
}

static struct routing *opened(const struct config *c)
{
    struct routing *r;
    char why[256];

    CHECK_STATUS(ST_OK, routing_open(c, SPAN(""), SPAN(""), &r, why, sizeof(why)));
    assert_string_equal(why, "");
    return r;
}

static void check(const struct config *c, const struct routing_wish *w, enum routing_tier tier,
                  const char *reason, const char *rule)
{
    struct routing *r = opened(c);
    struct routing_verdict v = routing_settle(r, w, routing_rule(r, w));

    assert_int_equal(v.tier, tier);
    if (reason != NULL)
        assert_string_equal(v.reason, reason);
    else
        assert_null(v.reason);
    if (rule != NULL)
        assert_string_equal(v.rule, rule);
    else
        assert_null(v.rule);
    routing_close(r);
}

static void nothing_to_route(void **arg)
{
    struct config *c = settings();
    struct routing *r;
    char why[256];

    (void)arg;
    c->route.models[0] = '\0';
    CHECK_STATUS(ST_OK, routing_open(c, SPAN(""), SPAN(""), &r, why, sizeof(why)));
    assert_null(r);
    routing_close(r);
    strcpy(c->route.models, "auto");
    strcpy(c->route.classifier, "/nonexistent");
    CHECK_STATUS(ST_UNAVAILABLE, routing_open(c, SPAN(""), SPAN(""), &r, why, sizeof(why)));
    assert_non_null(strstr(why, "route.classifier: '/nonexistent'"));
    strcpy(c->route.classifier, "default");
    CHECK_STATUS(ST_INVALID, routing_open(c, SPAN("{}"), SPAN(""), &r, why, sizeof(why)));
    assert_non_null(strstr(why, "route.classifier: 'default'"));
    free(c);
}

static void rules_go_first(void **arg)
{
    struct http_field field = {SPAN("X-Team"), SPAN("blue")};
    struct http_head head = {
        .path = SPAN("/v1/chat/completions"), .fields = &field, .field_count = 1};
    struct chat_request q = {
        .model = SPAN("auto"), .last_text = SPAN("0123456789"), .choices = 1};
    struct routing_wish w = {.head = &head, .chat = &q, .serves = true};
    struct config *c = settings();
    struct config_route *u;

    (void)arg;
    check(c, &w, ROUTING_UPSTREAM, "no_classifier", NULL);
    q.model = SPAN("other");
    check(c, &w, ROUTING_NONE, NULL, NULL);
    w.alias = SPAN("auto");
    check(c, &w, ROUTING_UPSTREAM, "no_classifier", NULL);
    w.alias = SPAN("auto-");
    check(c, &w, ROUTING_NONE, NULL, NULL);
    u = add_rule(c, "team", "local");
    strcpy(u->header, "x-team: blue");
    check(c, &w, ROUTING_LOCAL, "rule", "team");
    /* local is meant, whatever the request has. */
    q.has_tools = true;
    check(c, &w, ROUTING_LOCAL, "rule", "team");
    strcpy(u->header, "x-team: red");
    check(c, &w, ROUTING_NONE, NULL, NULL);
    w.head = NULL;
    check(c, &w, ROUTING_NONE, NULL, NULL);
    w.head = &head;
    u->header[0] = '\0';
    strcpy(u->path, "/v1/chat");
    check(c, &w, ROUTING_LOCAL, "rule", "team");
    strcpy(u->path, "/v1/cha");
    check(c, &w, ROUTING_NONE, NULL, NULL);
    u->path[0] = '\0';
    u->bytes_min = 10;
    u->bytes_max = 10;
    check(c, &w, ROUTING_LOCAL, "rule", "team");
    u->bytes_min = 11;
    check(c, &w, ROUTING_NONE, NULL, NULL);
    u->bytes_min = 0;
    u->bytes_max = 9;
    check(c, &w, ROUTING_NONE, NULL, NULL);
    add_rule(c, "rest", "upstream");
    check(c, &w, ROUTING_UPSTREAM, "rule", "rest");
    free(c);
}

static void expressions(void **arg)
{
    struct chat_request q = {
        .model = SPAN("x"), .last_text = SPAN("Our INVOICE, please"), .choices = 1};
    struct routing_wish w = {.chat = &q, .serves = true};
    struct config *c = settings();
    struct config_route *u = add_rule(c, "money", "local");
    static char many[4001];
    struct routing *r;
    char why[256];

    (void)arg;
    strcpy(u->regex, "(?i)\\binvoice\\b|contract");
    check(c, &w, ROUTING_LOCAL, "rule", "money");
    q.last_text = SPAN("our invoices");
    check(c, &w, ROUTING_NONE, NULL, NULL);
    q.last_text = (struct span){NULL, 0};
    check(c, &w, ROUTING_NONE, NULL, NULL);
    q.last_text = SPAN("\xff\xfe contract");
    check(c, &w, ROUTING_LOCAL, "rule", "money");
    /* Never done: what is to stay here stays, and nothing else is decided by it. */
    memset(many, 'a', sizeof(many) - 1);
    q.last_text = span_of(many);
    strcpy(u->regex, "(a+)+[bc]");
    check(c, &w, ROUTING_LOCAL, "rule", "money");
    strcpy(u->to, "upstream");
    check(c, &w, ROUTING_NONE, NULL, NULL);
    strcpy(u->regex, "a(b");
    CHECK_STATUS(ST_INVALID, routing_open(c, SPAN(""), SPAN(""), &r, why, sizeof(why)));
    assert_non_null(strstr(why, "routes: money: regex: at byte 3: "));
    free(c);
}

static void facts_go_before_what_was_learned(void **arg)
{
    struct chat_turn turn = {SPAN("user"), SPAN("Why?")};
    const struct chat_request plain = {.model = SPAN("gpt-x"),
                                       .turns = &turn,
                                       .turn_count = 1,
                                       .last_text = SPAN("Why?"),
                                       .choices = 1};
    struct chat_request q = plain;
    struct routing_wish w = {.chat = &q, .serves = true};
    struct config *c = settings();

    (void)arg;
    w.serves = false;
    check(c, &w, ROUTING_UPSTREAM, "not_served", NULL);
    w.serves = true;
    q.has_tools = true;
    check(c, &w, ROUTING_UPSTREAM, "tools", NULL);
    q = plain;
    q.has_tool_turns = true;
    check(c, &w, ROUTING_UPSTREAM, "tools", NULL);
    q = plain;
    q.has_attachments = true;
    check(c, &w, ROUTING_UPSTREAM, "attachments", NULL);
    q = plain;
    q.has_state = true;
    check(c, &w, ROUTING_UPSTREAM, "server_state", NULL);
    q = plain;
    w.cannot = "a reason";
    check(c, &w, ROUTING_UPSTREAM, "unsupported", NULL);
    w.cannot = NULL;
    q.last_text = (struct span){NULL, 0};
    check(c, &w, ROUTING_UPSTREAM, "no_user_text", NULL);
    q = plain;
    turn.text.len = 4 * (c->local.context_max + 1);
    check(c, &w, ROUTING_UPSTREAM, "context", NULL);
    turn.text.len = 4;
    check(c, &w, ROUTING_UPSTREAM, "no_classifier", NULL);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_route),
        cmocka_unit_test(rules_go_first),
        cmocka_unit_test(expressions),
        cmocka_unit_test(facts_go_before_what_was_learned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
