/* Quantized transformer inference: the only header that others see.
 *
 * A model is immutable, fully validated at open, and shared between threads; a
 * session is one thread's workspace. Nothing here knows a loop, a socket or the
 * cache. A long call takes a stop predicate and returns ST_CANCELED soon after
 * it says true. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/span.h"
#include "base/status.h"

struct encoder;
struct encoder_session;
struct decoder;
struct decoder_session;

/* What was wrong with a model file: the file, the thing in it, the way out. */
struct engine_error {
    char text[512];
};

/* true: give up. Called every few milliseconds of work at the least, by an encoder every
 * 50 us or so, on the thread that works: it may let others have the core for a while. */
typedef bool engine_stop_fn(void *arg);

struct engine_stop {
    engine_stop_fn *fn; /* NULL: never */
    void *arg;
};

/* "int8 avx512vnni": what this CPU will run; stable text for logs and /metrics. */
const char *cpu_kernels(void);
/* Forces a kernel set by name (ref, avx2, avxvnni, avx512vnni, neon, neondot; NULL or "" =
 * best).
 * Before any model is opened. ST_INVALID: unknown name; ST_UNAVAILABLE: not on
 * this CPU. */
enum status cpu_force(const char *name) MUST_CHECK;
/* Does the machine have what the binary was compiled for (AVX2, FMA, F16C on x86)? */
bool cpu_supported(void);

struct model_info {
    char id[72];           /* "xxh3:" and 32 hex digits of what an answer depends on:
                              stable across machines */
    char architecture[16]; /* "bert", "nomic-bert", "static", "llama" */
    char weights[24];      /* "int8", "f32", "Q4_1" */
    uint64_t parameters;
    uint64_t memory_bytes; /* resident for weights */
    uint32_t dimensions;   /* encoder: of a vector; decoder: of the residual stream */
    uint32_t context_max;  /* tokens */
    uint32_t vocabulary;
};

/* --- encoder: text -> unit vector ------------------------------------------------ */

enum encoder_precision { ENCODER_INT8, ENCODER_F32 };

/* How tokens become one vector. AUTO: as the model's files say, the mean where they are
 * silent. */
enum encoder_pooling { ENCODER_POOLING_AUTO, ENCODER_POOLING_MEAN, ENCODER_POOLING_CLS };

struct encoder_options {
    enum encoder_precision precision;
    uint32_t window_max; /* word pieces, special tokens included; 0: the model's, 256 at most */
    uint64_t memory_max_bytes; /* refuse a model that needs more, opening it and one session
                                  included; 0: no limit */
    enum encoder_pooling pooling;
    const char *prefix; /* before each text, "query: "; copied; NULL: none */
};

/* `path` is a folder with model.safetensors, tokenizer.json, config.json, or the
 * safetensors file in it, or a GGUF file. Architectures: engine/encoder_architecture.h; others
 * are refused by name. */
enum status encoder_open(const char *path, const struct encoder_options *o,
                         struct encoder **out, struct engine_error *err) MUST_CHECK;
void encoder_close(struct encoder *e);
void encoder_info(const struct encoder *e, struct model_info *out);

enum status encoder_session_open(const struct encoder *e,
                                 struct encoder_session **out) MUST_CHECK;
void encoder_session_close(struct encoder_session *s);

/* Word pieces of the prefix and `text`, special tokens included. *count is the full number,
 * also when it exceeds cap (ids then holds the first cap). Any thread, no session. */
enum status encoder_tokenize(const struct encoder *e, struct span text, uint32_t *ids,
                             size_t cap, size_t *count) MUST_CHECK;

/* out[i*dimensions ...]: unit vector (L2) of texts[i]; each[i] is ST_OK, or ST_LIMIT
 * for a text over the window (never truncated), ST_INVALID (not UTF-8), ST_NOTFOUND (a
 * static model knows no word of it) or ST_NOMEM; its vector is then untouched. Texts of like
 * length are computed together without padding. Returns ST_OK, or ST_CANCELED. */
enum status encoder_embed(struct encoder_session *s, const struct span *texts, size_t n,
                          float *out, enum status *each, struct engine_stop stop) MUST_CHECK;

/* --- decoder: chat -> text ------------------------------------------------------- */

#define DECODER_SEQUENCES_MAX 32

/* How keys and values are kept: floats, halves, or bytes with a scale for 32 of them. */
enum decoder_cache { CACHE_F32, CACHE_F16, CACHE_Q8 };

/* Guesses of tokens are checked in the pass that would have given one of them; no answer
 * changes by that. WORTH: where what was measured so far says that it is faster. */
enum decoder_guessing { DECODER_GUESS_NEVER, DECODER_GUESS_WORTH, DECODER_GUESS_ALWAYS };

/* Where guesses come from: a text that the answer may be like; the prompt and the answer; a
 * smaller model. */
enum decoder_guess {
    DECODER_GUESS_NEIGHBOUR,
    DECODER_GUESS_PROMPT,
    DECODER_GUESS_MODEL,
    DECODER_GUESS_SOURCES,
};

struct decoder_options {
    uint32_t context_max;      /* tokens of a conversation; 0: the model's */
    uint64_t memory_max_bytes; /* weights and one session; 0: no limit */
    enum decoder_cache kv_type;
    const char *chat_template; /* family by name ("chatml", "llama3", …); NULL: from the file */
    bool tokens_only;          /* no chat template is looked for: turns are ST_INVALID */
    uint32_t sequences;        /* answers that a session writes at a time, up to
                                  DECODER_SEQUENCES_MAX; 0: one */
    uint32_t cache_tokens;     /* of KV cache that a session's answers share, with what is kept
                                  of earlier ones, if that is more than a context */
    enum decoder_guessing guessing;
    bool look; /* only what it is and whether it is whole is wanted: the file is mapped, not
                  read, and no session can be opened */
};

enum status decoder_open(const char *path, const struct decoder_options *o,
                         struct decoder **out, struct engine_error *err) MUST_CHECK;
void decoder_close(struct decoder *d);
void decoder_info(const struct decoder *d, struct model_info *out);
/* Bytes that it takes with its adapters and `sessions` sessions, 1 at the least. */
uint64_t decoder_memory(const struct decoder *d, unsigned sessions);

/* `threads` >= 1: workers of this session's matrix products, the caller included. */
enum status decoder_session_open(const struct decoder *d, unsigned threads,
                                 struct decoder_session **out) MUST_CHECK;
void decoder_session_close(struct decoder_session *s);
/* `small` guesses as well, where the others have nothing to say: opened with the same context,
 * sequences and cache_tokens. Before the first answer. ST_INVALID: its vocabulary is another,
 * or its context smaller. */
enum status decoder_session_guess_with(struct decoder_session *s, const struct decoder *small,
                                       unsigned threads) MUST_CHECK;
/* Do the same ids stand for the same bytes? */
bool decoder_same_vocabulary(const struct decoder *a, const struct decoder *b);

struct decoder_turn {
    struct span role, text;
};

/* Ids of `text`; *count is the full number, also when it exceeds cap. With `special` a
 * control token written in the text becomes that token. */
enum status decoder_tokenize(const struct decoder *d, struct span text, bool special,
                             uint32_t *ids, size_t cap, size_t *count) MUST_CHECK;
/* The token that every text of this model begins with; false: there is none. */
bool decoder_begin(const struct decoder *d, uint32_t *id) MUST_CHECK;
/* Appends the bytes of one token. */
enum status decoder_token_text(const struct decoder *d, uint32_t id,
                               struct buf *out) MUST_CHECK;
/* Was it taught to fill in what stands between a beginning and an end? */
bool decoder_fill_known(const struct decoder *d);
/* The model's chat template applied, with the opening of an assistant turn. A text
 * that looks like a control token stays text. ST_LIMIT: more than `cap` ids. */
enum status decoder_chat_tokens(const struct decoder *d, const struct decoder_turn *turns,
                                size_t n, uint32_t *ids, size_t cap, size_t *count) MUST_CHECK;

struct decoder_params {
    float temperature; /* 0: greedy */
    float top_p;       /* 1: off */
    uint32_t top_k;    /* 0: off */
    uint64_t seed;
    uint32_t max_tokens; /* 0: to the end of the context */
    const struct span *stop;
    size_t stop_count;
};

enum decoder_finish { DECODER_STOP, DECODER_LENGTH, DECODER_CANCELED };

/* How sure the model was of an answer: of the distributions as it gave them, before
 * temperature, top_p and schema. Sums over its tokens, the one that ends it included. */
struct decoder_confidence {
    uint32_t tokens;
    double log_p;        /* natural logarithms of the chosen tokens' chances */
    double least_log_p;  /* the least of them */
    double entropy;      /* nats */
    double first_margin; /* at the first token: the best one's chance less the second's */
    double least_margin; /* where that is least */
};

/* Words that an answer may be asked to begin with. */
#define DECODER_WORDS_MAX 4

struct decoder_result {
    enum decoder_finish finish;
    uint32_t prompt_tokens, completion_tokens;
    uint32_t reused_tokens; /* of the prompt, computed for an earlier one of the session */
    uint64_t prompt_us, decode_us;
    uint64_t work; /* columns that were computed for it */
    uint32_t guessed[DECODER_GUESS_SOURCES], right[DECODER_GUESS_SOURCES]; /* tokens */
    struct decoder_confidence confidence;                                  /* if asked for */
    double begins[DECODER_WORDS_MAX]; /* the chance that it begins with each of the words */
};

/* A piece of the answer: whole UTF-8 characters, never part of a stop string. */
typedef void decoder_text_fn(void *arg, struct span text);

/* --- adapters: a decoder that was tuned, as a small file beside it ---------------------- */

struct decoder_adapter;

struct decoder_adapter_info {
    char id[72]; /* of its file, as in struct model_info */
    uint64_t memory_bytes;
    uint32_t rank;     /* the largest */
    uint32_t matrices; /* that it changes */
};

/* A LoRA adapter of that decoder (GGUF). Its memory is part of the decoder's memory_max_bytes.
 * Stays until no answer uses it, and is closed before the decoder, whose sessions may be at
 * work meanwhile; one thread opens adapters of a decoder. */
enum status decoder_adapter_open(struct decoder *d, const char *path,
                                 struct decoder_adapter **out,
                                 struct engine_error *err) MUST_CHECK;
void decoder_adapter_close(struct decoder_adapter *a);
void decoder_adapter_info(const struct decoder_adapter *a, struct decoder_adapter_info *out);

/* --- schemas: answers that are valid JSON ----------------------------------------------- */

struct decoder_schema;

/* What of JSON Schema is read: engine/schema/schema.h. NULL: any object. Any decoder, any
 * thread; `json` may go afterwards. ST_INVALID or ST_LIMIT, and what in it is not supported. */
enum status decoder_schema_open(const struct json *json, struct decoder_schema **out,
                                struct engine_error *err) MUST_CHECK;
/* NULL: nothing happens. */
void decoder_schema_close(struct decoder_schema *s);

struct decoder_request {
    const struct decoder_turn *turns; /* read by decoder_answer_open() only */
    size_t turn_count;
    bool continues; /* turns[0] is a text that goes on in the answer; with a second turn, one
                       that the answer stands between. ST_INVALID: decoder_fill_known() says no,
                       or there is nothing to go on from */
    const uint32_t *ids; /* instead of turns, if not NULL; likewise */
    size_t id_count;
    struct decoder_params params; /* the stop strings stay until the answer is closed */
    bool no_end;                  /* tokens that end an answer do not */
    bool confidence;              /* its figures are wanted: some µs a token */
    bool no_guesses;              /* for this answer; those that are worth it otherwise */
    const struct span *words;     /* how likely does it begin with each of them? read by
                                     decoder_answer_open() only: engine/choice.h */
    size_t word_count;
    struct span like;   /* the answer may be like this text; likewise; or empty */
    uint64_t partition; /* only what was computed for requests of the same is taken again */
    const struct decoder_adapter *adapter; /* NULL: none */
    /* The answer is valid of it: where its tokens would run out, it is ended before, and its
     * finish is DECODER_LENGTH. Stays until the answer is closed; NULL: any text. */
    const struct decoder_schema *schema;
    decoder_text_fn *on_text;
    void *arg;
    struct engine_stop stop;
};

struct decoder_answer;

/* A session writes some answers at a time: each pass reads the weights once for all of them.
 * What an answer says does not depend on the others. Answers are opened and closed between
 * passes. ST_LIMIT: the prompt does not fit the context. ST_OVERLOAD: no place until another
 * answer has ended. */
enum status decoder_answer_open(struct decoder_session *s, const struct decoder_request *q,
                                struct decoder_answer **out) MUST_CHECK;
/* One pass for all answers that have not ended: a token, or a part of the prompt. */
void decoder_session_pass(struct decoder_session *s);
/* Has it ended? Then *st is how (ST_CANCELED: its stop said so). *out is its figures so far. */
bool decoder_answer_ended(const struct decoder_answer *a, enum status *st,
                          struct decoder_result *out);
void decoder_answer_close(struct decoder_answer *a);

struct decoder_counts {
    uint64_t passes, columns; /* since the beginning: passes over the weights, tokens in them */
    uint64_t reused;          /* tokens of prompts that were not computed again */
    uint64_t guessed[DECODER_GUESS_SOURCES], right[DECODER_GUESS_SOURCES]; /* tokens */
    uint64_t evicted;         /* pages of the cache given up for new ones */
    size_t pages, used, kept; /* of the cache: in all; in use; found again by what begins so */
    size_t shared;            /* references to used pages beyond the first */
};

void decoder_session_counts(const struct decoder_session *s, struct decoder_counts *out);

/* One answer, from its opening to its end. ST_LIMIT when the prompt does not fit the context
 * (nothing was generated). */
enum status decoder_chat(struct decoder_session *s, const struct decoder_request *q,
                         struct decoder_result *out) MUST_CHECK;

/* The parts of it, for benches and tests, while no answer is open: feed tokens from position 0,
 * and read the logits (vocabulary floats, owned by the session) after the last one. After
 * decoder_steps() there is a row of them for each of its tokens; ST_LIMIT: more than the
 * session writes answers at a time. */
enum status decoder_prefill(struct decoder_session *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop) MUST_CHECK;
enum status decoder_step(struct decoder_session *s, uint32_t id) MUST_CHECK;
enum status decoder_steps(struct decoder_session *s, const uint32_t *ids, size_t n) MUST_CHECK;
/* An adapter for them, from the next beginning on; NULL: none. */
void decoder_session_adapt(struct decoder_session *s, const struct decoder_adapter *a);
const float *decoder_logits(const struct decoder_session *s);

/* What goes into a matrix: x[n][cols] into one of `matrices` (experts, or 1) of a tensor of the
 * file. A tensor that holds several matrices of one input is told once. */
struct decoder_input {
    struct span tensor;
    size_t matrices, matrix;
    const float *x;
    size_t n, cols;
};

/* On the session's thread, before the product; what it points to lives as long as the call. */
typedef void decoder_input_fn(void *arg, const struct decoder_input *in);

/* For tools that look at activations; NULL: no longer. */
void decoder_session_observe(struct decoder_session *s, decoder_input_fn *fn, void *arg);

#endif
