#include "redis_script.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"
#include "rt/io.h"
#include "rt/listener.h"
#include "rt/loop.h"

struct script_client {
    struct redis_script *script; /* NULL: the script is over */
    struct script_client *next;
    struct io *io;
    redisReader *reader;
    struct buf out, flying;
    bool writing, closing;
};

static void unlink_client(struct script_client *c)
{
    struct script_client **at;

    if (c->script == NULL)
        return;
    for (at = &c->script->clients; *at != c; at = &(*at)->next)
        ;
    *at = c->next;
    c->script = NULL;
}

static void drop(struct script_client *c)
{
    if (c->closing)
        return;
    c->closing = true;
    unlink_client(c);
    io_close(c->io);
}

static void flush(struct script_client *c)
{
    struct buf swap = c->out;
    struct span part;

    if (c->writing || c->out.len == 0 || c->closing)
        return;
    c->out = c->flying;
    c->flying = swap;
    part = buf_span(&c->flying);
    CHECK_STATUS(ST_OK, io_write(c->io, &part, 1));
    c->writing = true;
}

static void on_written(void *owner, enum status st)
{
    struct script_client *c = owner;

    c->writing = false;
    buf_clear(&c->flying);
    if (st == ST_OK)
        flush(c);
}

static struct span reply_to(const struct redis_script *s, const char *verb, bool *then_close)
{
    for (size_t i = 0; i < s->rules; i++) {
        if (strcmp(s->rule[i].verb, verb) == 0) {
            *then_close = s->rule[i].then_close;
            return s->rule[i].reply;
        }
    }
    return strcmp(verb, "PING") == 0 ? SPAN("+PONG\r\n") : SPAN("+OK\r\n");
}

static void obey(struct script_client *c, const redisReply *r)
{
    struct redis_script *s = c->script;
    bool then_close = false;
    struct span reply;
    size_t n = 0;

    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    s->last[0] = '\0';
    for (size_t i = 0; i < r->elements && n + 64 < sizeof(s->last); i++)
        n += (size_t)snprintf(s->last + n, sizeof(s->last) - n, "%s%.100s", i > 0 ? " " : "",
                              r->element[i]->str);
    s->commands++;
    reply = reply_to(s, r->element[0]->str, &then_close);
    if (then_close) {
        drop(c);
    } else if (reply.ptr != NULL) {
        CHECK_STATUS(ST_OK, buf_append(&c->out, reply));
        flush(c);
    }
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct script_client *c = owner;
    void *r = NULL;

    if (st != ST_OK) {
        drop(c);
        return;
    }
    assert_int_equal(redisReaderFeed(c->reader, data.ptr, data.len), REDIS_OK);
    while (!c->closing && redisReaderGetReply(c->reader, &r) == REDIS_OK && r != NULL) {
        obey(c, r);
        freeReplyObject(r);
    }
}

static void on_closed(void *owner)
{
    struct script_client *c = owner;

    redisReaderFree(c->reader);
    buf_release(&c->out);
    buf_release(&c->flying);
    free(c);
}

static void on_accept(void *owner, struct io *io, const char *peer)
{
    static const struct io_events events = {on_read, on_written, on_closed};
    struct redis_script *s = owner;
    struct script_client *c = calloc(1, sizeof(*c));

    (void)peer;
    assert_non_null(c);
    c->script = s;
    c->next = s->clients;
    s->clients = c;
    c->io = io;
    c->reader = redisReaderCreate();
    buf_init(&c->out, 1u << 28);
    buf_init(&c->flying, 1u << 28);
    s->connections++;
    io_attach(io, &events, c);
    io_read_start(io);
}

void redis_script_open(struct redis_script *s, struct loop *loop, const char *folder)
{
    const struct listener_options o = {.backlog = 16};
    char address[128], why[128];

    *s = (struct redis_script){.loop = loop};
    snprintf(s->socket, sizeof(s->socket), "%s/redis", folder);
    snprintf(address, sizeof(address), "unix:%s", s->socket);
    CHECK_STATUS(
        ST_OK, listener_open(loop, address, &o, on_accept, s, &s->listener, why, sizeof(why)));
}

uint16_t redis_script_open_port(struct redis_script *s, struct loop *loop)
{
    const struct listener_options o = {.backlog = 16};
    char why[128];

    *s = (struct redis_script){.loop = loop};
    CHECK_STATUS(ST_OK, listener_open(loop, "127.0.0.1:0", &o, on_accept, s, &s->listener, why,
                                      sizeof(why)));
    return listener_port(s->listener);
}

void redis_script_close(struct redis_script *s)
{
    while (s->clients != NULL)
        drop(s->clients);
    listener_close(s->listener);
    if (s->socket[0] != '\0')
        unlink(s->socket);
}

void redis_script_rule(struct redis_script *s, const char *verb, struct span reply)
{
    size_t i = 0;

    while (i < s->rules && strcmp(s->rule[i].verb, verb) != 0)
        i++;
    assert_true(i < REDIS_SCRIPT_RULES_MAX);
    snprintf(s->rule[i].verb, sizeof(s->rule[i].verb), "%s", verb);
    s->rule[i].reply = reply;
    s->rule[i].then_close = false;
    if (i == s->rules)
        s->rules++;
}

void redis_script_rule_close(struct redis_script *s, const char *verb)
{
    redis_script_rule(s, verb, REDIS_SCRIPT_SILENT);
    for (size_t i = 0; i < s->rules; i++)
        if (strcmp(s->rule[i].verb, verb) == 0)
            s->rule[i].then_close = true;
}

void redis_script_clear(struct redis_script *s)
{
    s->rules = 0;
}

void redis_script_say(struct redis_script *s, struct span bytes)
{
    for (struct script_client *c = s->clients; c != NULL; c = c->next) {
        CHECK_STATUS(ST_OK, buf_append(&c->out, bytes));
        flush(c);
    }
}
