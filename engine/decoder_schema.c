#include "engine/decoder_schema.h"

#include <stdio.h>
#include <stdlib.h>

enum status decoder_schema_open(const struct json *json, struct decoder_schema **out,
                                struct engine_error *err)
{
    struct decoder_schema *d = malloc(sizeof(*d));
    struct schema_error why;
    enum status st;

    *out = NULL;
    (void)snprintf(err->text, sizeof(err->text), "no memory is left for the schema");
    if (d == NULL)
        return ST_NOMEM;
    st = schema_open(json, &d->schema, &why);
    if (st != ST_OK) {
        (void)snprintf(err->text, sizeof(err->text), "%s", why.text);
        free(d);
        return st;
    }
    *out = d;
    return ST_OK;
}

void decoder_schema_close(struct decoder_schema *d)
{
    if (d == NULL)
        return;
    schema_close(d->schema);
    free(d);
}
