#include "proxy/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "cache/agreement.h"
#include "config/config.h"
#include "engine/engine.h"
#include "protocol/answer.h"
#include "proxy/examples.h"
#include "proxy/journal.h"
#include "proxy/ladder.h"
#include "proxy/outcomes.h"
#include "proxy/proxy.h"
#include "proxy/reportable.h"
#include "proxy/request.h"
#include "proxy/routing.h"
#include "proxy/setup.h"
#include "router/cascade.h"
#include "router/cascade_file.h"
#include "router/words.h"

/* Of an answer no longer than that the words decide, all of them. */
#define SHORT_BYTES 64

struct trial {
    struct outcomes *outcomes; /* owned; NULL: none are written */
    struct reportables given;  /* out, that can be reported on */
    uint64_t dice;
    struct trial_counts counts;
};

/* --- opening ------------------------------------------------------------------------------ */

bool trial_wanted(const struct config *c)
{
    return c->route.confidence_min > 0 || strcmp(c->route.cascade, "off") != 0;
}

/* No answer is lost for want of a place to write this down. */
static void open_outcomes(struct trial *t, const struct config *c, char *why, size_t why_cap)
{
    if (c->route.outcomes_file[0] == '\0')
        return;
    if (outcomes_open(c->route.outcomes_file, c->route.outcomes_max_bytes, &t->outcomes) !=
        ST_OK)
        snprintf(why, why_cap, "route.outcomes_file: cannot write '%s': %s",
                 c->route.outcomes_file, strerror(errno));
}

enum status trial_open(const struct config *c, struct trial **out, char *why, size_t why_cap)
{
    struct trial *t = calloc(1, sizeof(*t));

    *out = t;
    why[0] = '\0';
    if (t == NULL)
        return ST_NOMEM;
    t->dice = clock_now_us() | 1;
    open_outcomes(t, c, why, why_cap);
    return ST_OK;
}

void trial_close(struct trial *t)
{
    if (t == NULL)
        return;
    outcomes_close(t->outcomes);
    reportable_release(&t->given);
    free(t);
}

/* --- doubt -------------------------------------------------------------------------------- */

static const struct ladder_rung *rung_of(const struct request *r)
{
    return &routing_ladder(r->setup->routing)->rungs[r->rung];
}

/* The operator's line for this model, or the one that keeps to the loss that is allowed. */
static double line_of(const struct request *r)
{
    const struct cascade *c = r->setup->cascade;
    double own = rung_of(r)->confidence_min;

    if (own > 0 || c == NULL)
        return own;
    return cascade_line(c, r->setup->config->route.quality_loss_max);
}

bool trial_can(const struct request *r)
{
    return r->judged && r->proxy->parts.trial != NULL &&
           (r->setup->cascade != NULL || rung_of(r)->confidence_min > 0);
}

bool trial_on(const struct request *r)
{
    return r->tried;
}

/* xorshift64 (Marsaglia 2003): nobody gains by foreseeing it. */
static double roll(struct trial *t)
{
    t->dice ^= t->dice << 13;
    t->dice ^= t->dice >> 7;
    t->dice ^= t->dice << 17;
    return (double)(t->dice >> 11) * 0x1p-53;
}

static void look(const struct request *r, const struct decoder_confidence *c, struct attempt *a)
{
    struct span shown[EXAMPLES_ALL];
    struct signs_input in = {
        .tokens = c->tokens,
        .log_p = c->log_p,
        .least_log_p = c->least_log_p,
        .entropy = c->entropy,
        .first_margin = c->first_margin,
        .least_margin = c->least_margin,
        .question = r->chat.last_text,
        .answer = a->said,
        .shown = shown,
        .votes = r->votes,
        .enough = routing_classifier(r->setup->routing) != NULL ? r->enough : 0.5,
    };

    for (size_t i = 0; i < r->shown_count && i < EXAMPLES_ALL; i++)
        shown[in.shown_count++] = r->shown[2 * i + 1].text;
    if (in.shown_count > 0 && r->embed_done && r->embed.status == ST_OK)
        in.nearest = (double)r->embed.decision.similarity;
    signs_of(&in, a->signs);
}

static bool keep(struct request *r, struct attempt **out)
{
    *out = arena_alloc(&r->arena, sizeof(**out), _Alignof(struct attempt));
    return *out != NULL &&
           arena_copy(&r->arena, buf_span(&r->recorded), &(*out)->said) == ST_OK;
}

/* What max_tokens of the client cuts, the upstream would cut too. */
static bool is_cut(const struct request *r, const struct decoder_result *result)
{
    return result->finish == DECODER_LENGTH &&
           !(r->chat.has_max_tokens && r->chat.max_tokens <= result->completion_tokens);
}

/* Texts only where they may be written down. */
static bool tells_texts(const struct request *r)
{
    return r->setup->config->route.outcomes_texts && !r->screen.found && !r->controls.no_store;
}

/* Under the name of the decision, where its answer has one anyway. */
static uint64_t name_of(const struct request *r)
{
    uint64_t id = JOURNAL_NONE;

    if (r->decision_id != JOURNAL_NONE && r->embed.decision.has_candidate)
        return r->decision_id;
    return digest_random((uint8_t *)&id, sizeof(id)) == ST_OK ? id : JOURNAL_NONE;
}

static void give_out(struct request *r)
{
    struct trial *t = r->proxy->parts.trial;
    struct attempt *a = r->attempt;
    struct reportable one = {.sure = r->sure};

    if (t->outcomes == NULL)
        return;
    one.id = a->id = name_of(r);
    memcpy(one.signs, a->signs, sizeof(one.signs));
    if (tells_texts(r)) {
        one.question = r->chat.last_text;
        one.said = a->said;
    }
    reportable_add(&t->given, &one);
}

const char *trial_doubt(struct request *r, const struct decoder_result *result)
{
    const struct decoder_confidence *c = &result->confidence;
    struct attempt *a;

    if (!keep(r, &a))
        return "escalated_failed";
    look(r, c, a);
    a->id = JOURNAL_NONE;
    r->attempt = a;
    if (r->setup->cascade != NULL)
        r->sure = cascade_sure(r->setup->cascade, a->signs);
    else
        r->sure = c->tokens > 0 ? exp(c->log_p / c->tokens) : 0;
    if (is_cut(r, result))
        return "escalated_length";
    if (r->sure < line_of(r))
        return "escalated_unsure";
    give_out(r);
    return NULL;
}

bool trial_explores(struct request *r)
{
    return roll(r->proxy->parts.trial) < r->setup->config->route.explore;
}

/* --- what came of it ---------------------------------------------------------------------- */

/* As words: "It is Paris." has "Paris" in it. */
static bool has_words(struct span text, struct span words)
{
    for (size_t i = 0; i + words.len <= text.len; i++) {
        if ((i == 0 || !words_has(text.ptr[i - 1])) &&
            (i + words.len == text.len || !words_has(text.ptr[i + words.len])) &&
            signs_same((struct span){text.ptr + i, words.len}, words))
            return true;
    }
    return false;
}

/* The last run of figures; empty: there is none. */
static struct span last_number(struct span s)
{
    size_t end = s.len, begin;

    while (end > 0 && !(s.ptr[end - 1] >= '0' && s.ptr[end - 1] <= '9'))
        end--;
    begin = end;
    while (begin > 0 && s.ptr[begin - 1] >= '0' && s.ptr[begin - 1] <= '9')
        begin--;
    if (begin > 0 && begin < end && s.ptr[begin - 1] == '-')
        begin--;
    return (struct span){s.ptr + begin, end - begin};
}

static struct span trimmed(struct span s)
{
    while (s.len > 0 && !words_has(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && !words_has(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* By an upstream's answer of some words. A small model talks around its own: of numbers the
 * last one counts; words that stand somewhere in much else tell nothing. */
static double says_short(struct span said, struct span answered)
{
    struct span number = last_number(answered), words = trimmed(answered);

    if (number.len > 0 && number.len == answered.len)
        return span_eq(last_number(said), number);
    if (signs_same(said, answered))
        return 1;
    if (!has_words(said, words))
        return 0;
    return said.len <= 2 * words.len + 32 ? 1 : -1;
}

/* 0 or 1; below 0: it can not be told. */
static double is_right(const struct request *r, const struct answer *a)
{
    struct agreement_text mine, theirs;
    struct span said = r->attempt->said;

    if (a->text.len <= SHORT_BYTES && said.len <= SIGNS_READ_MAX)
        return says_short(said, a->text);
    agreement_read(r->chat.last_text, said, &mine);
    agreement_read(r->chat.last_text, a->text, &theirs);
    switch (agreement_of(&mine, &theirs)) {
    case AGREEMENT_YES:
        return 1;
    case AGREEMENT_NO:
        return 0;
    case AGREEMENT_UNSURE:
        break;
    }
    return -1;
}

static void write_down(struct trial *t, const struct outcomes_line *line)
{
    t->counts.right += line->small > 0;
    t->counts.wrong += line->small >= 0 && !(line->small > 0);
    t->counts.unknown += line->small < 0;
    t->counts.unrecorded += !outcomes_add(t->outcomes, line);
}

void trial_compare(struct request *r, const struct answer *a)
{
    struct trial *t = r->proxy->parts.trial;
    struct outcomes_line line;

    if (r->attempt == NULL || t == NULL || t->outcomes == NULL ||
        a->verdict != ANSWER_STORABLE || a->text.len == 0)
        return;
    line = (struct outcomes_line){.signs = r->attempt->signs,
                                  .sure = r->sure,
                                  .reason = r->routed.reason,
                                  .small = is_right(r, a)};
    if (tells_texts(r)) {
        line.question = r->chat.last_text;
        line.said = r->attempt->said;
        line.answered = a->text;
    }
    write_down(t, &line);
}

bool trial_report(struct trial *t, uint64_t id, bool right)
{
    struct reportable *one = t != NULL ? reportable_find(&t->given, id) : NULL;
    struct outcomes_line line;

    if (one == NULL)
        return false;
    line = (struct outcomes_line){.signs = one->signs,
                                  .sure = one->sure,
                                  .reason = "reported",
                                  .small = right,
                                  .question = one->question,
                                  .said = one->said};
    write_down(t, &line);
    reportable_forget(one);
    return true;
}

struct trial_counts *trial_counts(struct trial *t)
{
    return &t->counts;
}
