#include "engine/format.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/format_iq.h"
#include "engine/format_k.h"
#include "engine/format_small.h"
#include "engine/format_ternary.h"
#include "engine/half.h"

/* clang-format off */
static const struct format formats[] = {
    /*                 name     values bytes group offsets unpack */
    [FORMAT_F32]     = {"F32",       1,   4,  0, false, NULL},
    [FORMAT_F16]     = {"F16",       1,   2,  0, false, NULL},
    [FORMAT_Q4_0]    = {"Q4_0",     32,  18, 32, false, format_small_q4_0},
    [FORMAT_Q4_1]    = {"Q4_1",     32,  20, 32, true,  format_small_q4_1},
    [FORMAT_Q5_0]    = {"Q5_0",     32,  22, 32, false, format_small_q5_0},
    [FORMAT_Q5_1]    = {"Q5_1",     32,  24, 32, true,  format_small_q5_1},
    [FORMAT_Q8_0]    = {"Q8_0",     32,  34, 32, false, format_small_q8_0},
    [9]              = {.name = "Q8_1"},
    [FORMAT_Q2_K]    = {"Q2_K",    256,  84, 16, true,  format_k_q2},
    [FORMAT_Q3_K]    = {"Q3_K",    256, 110, 16, false, format_k_q3},
    [FORMAT_Q4_K]    = {"Q4_K",    256, 144, 32, true,  format_k_q4},
    [FORMAT_Q5_K]    = {"Q5_K",    256, 176, 32, true,  format_k_q5},
    [FORMAT_Q6_K]    = {"Q6_K",    256, 210, 16, false, format_k_q6},
    [15]             = {.name = "Q8_K"},
    [FORMAT_IQ2_XXS] = {"IQ2_XXS", 256,  66, 32, false, format_iq_2xxs},
    [FORMAT_IQ2_XS]  = {"IQ2_XS",  256,  74, 16, false, format_iq_2xs},
    [FORMAT_IQ3_XXS] = {"IQ3_XXS", 256,  98, 32, false, format_iq_3xxs},
    [FORMAT_IQ1_S]   = {"IQ1_S",   256,  50, 32, false, format_iq_1s},
    [FORMAT_IQ4_NL]  = {"IQ4_NL",   32,  18, 32, false, format_small_iq4_nl},
    [FORMAT_IQ3_S]   = {"IQ3_S",   256, 110, 32, false, format_iq_3s},
    [FORMAT_IQ2_S]   = {"IQ2_S",   256,  82, 16, false, format_iq_2s},
    [FORMAT_IQ4_XS]  = {"IQ4_XS",  256, 136, 32, false, format_k_iq4_xs},
    [24]             = {.name = "I8"},
    [25]             = {.name = "I16"},
    [26]             = {.name = "I32"},
    [27]             = {.name = "I64"},
    [28]             = {.name = "F64"},
    [FORMAT_IQ1_M]   = {"IQ1_M",   256,  56, 16, false, format_iq_1m},
    [FORMAT_BF16]    = {"BF16",      1,   2,  0, false, NULL},
    [FORMAT_TQ1_0]   = {"TQ1_0",   256,  54, 32, false, format_ternary_tq1},
    [FORMAT_TQ2_0]   = {"TQ2_0",   256,  66, 32, false, format_ternary_tq2},
    [FORMAT_MXFP4]   = {"MXFP4",    32,  17, 32, false, format_small_mxfp4},
    [40]             = {.name = "NVFP4"},
    [41]             = {.name = "Q1_0"},
    [42]             = {.name = "Q2_0"},
};
/* clang-format on */

const struct format *format_of(uint32_t type)
{
    static const struct format none = {.name = NULL};

    return type < ARRAY_LEN(formats) ? &formats[type] : &none;
}

const char *format_name(uint32_t type)
{
    const char *name = format_of(type)->name;

    return name != NULL ? name : "unknown";
}

void format_list(char *out, size_t cap)
{
    size_t at = 0;

    for (uint32_t i = 0; i < ARRAY_LEN(formats) && at < cap; i++) {
        if (formats[i].values > 0)
            at += (size_t)snprintf(out + at, cap - at, "%s%s", at > 0 ? ", " : "",
                                   formats[i].name);
    }
}

static float float_at(uint32_t type, const uint8_t *p)
{
    float v;

    if (type == FORMAT_F16)
        return half_at(p);
    if (type == FORMAT_BF16)
        return half_bf16_at(p);
    memcpy(&v, p, sizeof(v));
    return v;
}

void format_row(uint32_t type, const uint8_t *p, size_t n, float *out)
{
    const struct format *f = format_of(type);
    int8_t codes[FORMAT_VALUES_MAX];
    float d[FORMAT_GROUPS_MAX], m[FORMAT_GROUPS_MAX];

    for (size_t i = 0; i < n; i += f->values, p += f->bytes) {
        if (f->unpack == NULL) {
            out[i] = float_at(type, p);
            continue;
        }
        f->unpack(p, codes, d, m);
        for (size_t j = 0; j < f->values; j++) {
            /* The product first, rounded or exact: then the offset. */
            float v = (float)codes[j] * d[j / f->group];

            out[i + j] = f->offsets ? v + m[j / f->group] : v;
        }
    }
}
