#include "protocol/answer_form.h"

void answer_form_read(struct span type, const struct json *schema, struct chat_request *q)
{
    q->schema = NULL;
    q->form = CHAT_OTHER;
    if (type.ptr == NULL || span_eq(type, SPAN("text"))) {
        q->form = CHAT_TEXT;
    } else if (span_eq(type, SPAN("json_object"))) {
        q->form = CHAT_JSON;
    } else if (span_eq(type, SPAN("json_schema")) && schema != NULL) {
        q->form = CHAT_JSON;
        q->schema = schema;
    }
}
