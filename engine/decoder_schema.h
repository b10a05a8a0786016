/* What others hold of a schema (engine.h). */
#ifndef ENGINE_DECODER_SCHEMA_H
#define ENGINE_DECODER_SCHEMA_H

#include "engine/engine.h"
#include "engine/schema/schema.h"

struct decoder_schema {
    struct schema *schema; /* owned */
};

#endif
