#include "protocol/json_exact.h"

#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/fields.h"

enum status json_exact_decode(struct arena *arena, const struct protocol_request *in,
                              const struct form_rules *form, struct chat_request *out,
                              struct protocol_error *err)
{
    struct chat_request q = {.model = {"", 0}, .choices = 1, .include_usage = true};
    struct json *body;
    enum status st = fields_parse(arena, in, &body, err);

    if (st != ST_OK)
        return st;
    q.body = body;
    if ((st = fields_text(body, "model", &q.model, err)) != ST_OK ||
        (st = form_exact(arena, body, form, &q.exact_form)) != ST_OK)
        return st;
    *out = q;
    return ST_OK;
}

void json_exact_judge(const struct json *root, struct span member, struct answer *a)
{
    if (fields_get(root, SPAN("error")) != NULL) {
        a->verdict = ANSWER_ERROR;
        return;
    }
    a->model = json_str(json_get(root, SPAN("model")));
    a->verdict = fields_get(root, member) != NULL ? ANSWER_STORABLE : ANSWER_MALFORMED;
}
