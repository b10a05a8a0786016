/* The configuration file. What is taken must also be written and read back. */
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config c;
    struct config_error err = {.text = ""};
    struct buf out;

    config_defaults(&c);
    if (config_parse(&c, (struct span){(const char *)data, size}, &err) != ST_OK)
        return 0;
    buf_init(&out, 1 << 24);
    if (config_write(&c, false, &out) != ST_OK ||
        (config_validate(&c, &err) == ST_OK && config_parse(&c, buf_span(&out), &err) != ST_OK))
        abort();
    buf_release(&out);
    return 0;
}
