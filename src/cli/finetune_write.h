/* The files of `ibid cache export --for finetune`: one line a row, in the forms that trainers
 * read, and beside each a file with where the same line comes from. One thread. */
#ifndef CLI_FINETUNE_WRITE_H
#define CLI_FINETUNE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct finetune;

struct finetune_files {
    const char *folder;
    bool chat, alpaca;  /* OpenAI's chat JSONL; Alpaca's */
    const char *system; /* stands before each question; NULL: nothing does */
    const char *judge;  /* the model that judged answers; NULL: the rules alone did */
};

struct finetune_written {
    uint64_t train, held_out;
};

/* Makes the folder, 0700; no file there is replaced. false: what is wrong was said on
 * stderr. */
bool finetune_write(const struct finetune *f, const struct finetune_files *to,
                    struct finetune_written *out) MUST_CHECK;

#endif
