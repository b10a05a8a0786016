/* /admin/v1/engine: what encoder and built-in model did. */
#include "admin/admin.h"
#include "admin/views.h"
#include "base/json_writer.h"
#include "engine/engine.h"
#include "proxy/embedder.h"
#include "proxy/ledger.h"
#include "proxy/local_models.h"
#include "proxy/proxy.h"

static void write_encoder(struct json_writer *p, const struct proxy *x)
{
    struct embedder *e = x->parts.embedder;
    uint64_t texts, batches;

    if (e == NULL)
        return;
    embedder_counts(e, &texts, &batches);
    json_writer_open(p, "encoder", '{');
    json_writer_text(p, "model", x->parts.encoder_name);
    json_writer_u64(p, "dimensions", embedder_dimensions(e));
    json_writer_u64(p, "queue", embedder_queued(e));
    json_writer_u64(p, "texts", texts);
    json_writer_u64(p, "batches", batches);
    json_writer_u64(p, "overload", x->account.embed_overload_total);
    json_writer_u64(p, "timeouts", x->account.embed_timeout_total);
    json_writer_real(p, "cpu_seconds", x->account.cost_encoder_s);
    json_writer_close(p, '}');
}

static void write_local(struct json_writer *p, const struct proxy *x)
{
    const struct ledger_sums *own = &x->parts.ledger->started[SOURCE_LOCAL];
    struct local_models *m = x->parts.local;
    uint64_t guessed = 0, right = 0;
    struct local_models_sums sums;
    struct model_info info;
    struct local_counts c;

    if (m == NULL)
        return;
    local_models_info(m, 0, &info);
    local_models_sums(m, &sums);
    c = sums.counts;
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++) {
        guessed += c.sessions.guessed[i];
        right += c.sessions.right[i];
    }
    json_writer_open(p, "local", '{');
    json_writer_text(p, "model", local_models_name(m, 0));
    json_writer_text(p, "architecture", span_of(info.architecture));
    json_writer_text(p, "weights", span_of(info.weights));
    json_writer_u64(p, "parameters", info.parameters);
    json_writer_u64(p, "memory_bytes", info.memory_bytes);
    json_writer_u64(p, "queue", c.queued);
    json_writer_u64(p, "running", c.running);
    json_writer_u64(p, "answers", own->requests);
    json_writer_u64(p, "prompt_tokens", own->prompt_tokens);
    json_writer_u64(p, "completion_tokens", own->completion_tokens);
    json_writer_u64(p, "passes", c.sessions.passes);
    json_writer_u64(p, "pass_tokens", c.sessions.columns);
    json_writer_u64(p, "reused_tokens", c.sessions.reused);
    json_writer_u64(p, "guessed_tokens", guessed);
    json_writer_u64(p, "guessed_right", right);
    json_writer_u64(p, "pages", c.sessions.pages);
    json_writer_u64(p, "pages_used", c.sessions.used);
    json_writer_u64(p, "pages_kept", c.sessions.kept);
    json_writer_real(p, "cpu_seconds", x->account.cost_local_s);
    /* From the first byte of a request to the last of its answer, waiting included. */
    json_writer_real(p, "answer_seconds", x->account.latency[SOURCE_LOCAL].sum_s);
    json_writer_close(p, '}');
}

enum status views_engine(struct buf *out, const struct admin_view *v)
{
    struct json_writer p = {out, ST_OK, false};

    json_writer_open(&p, NULL, '{');
    json_writer_text(&p, "kernels", span_of(cpu_kernels()));
    json_writer_real(&p, "lookup_cpu_seconds", v->proxy->account.cost_lookup_s);
    write_encoder(&p, v->proxy);
    write_local(&p, v->proxy);
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}
