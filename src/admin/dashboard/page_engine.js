import { get } from "./api.js";
import { empty, figure, h } from "./dom.js";
import { bytes, count, percent, seconds } from "./format.js";

const facts = (rows) => h("dl", { class: "facts" }, rows.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
const rate = (n, per) => (per > 0 ? (n / per).toFixed(n / per >= 100 ? 0 : 1) : "–");

export const page = {
  id: "engine",
  title: "Models",
  lead: "The models inside this ibid, how fast they are here, and what they have to do.",

  open({ body, signal }) {
    let before;

    /** A second, between two looks. */
    const now = (look, name) => (before ? rate(look[name] - before[name], (look.at - before.at) / 1000) : "–");

    function encoder(e, x) {
      if (!x) return h("div", { class: "card" }, h("h2", {}, "Encoder"), empty("There is none: questions are compared by their very bytes only."));
      return h("div", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "Encoder"), h("code", {}, x.model)), facts([
        ["Dimensions", count(x.dimensions)], ["Questions embedded", count(x.texts)], ["… in batches of", x.batches > 0 ? (x.texts / x.batches).toFixed(2) : "–"],
        ["CPU a question", x.texts > 0 ? seconds(x.cpu_seconds / x.texts) : "–"], ["Search, CPU in all", seconds(e.lookup_cpu_seconds)],
        ["Waiting", count(x.queue)], ["Skipped: queue full", count(x.overload)], ["Skipped: too slow", count(x.timeouts)]]));
    }

    function local(x) {
      if (!x) return h("div", { class: "card" }, h("h2", {}, "Built-in model"), empty("There is none: what is not stored goes upstream."));
      return h("div", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "Built-in model"), h("code", {}, x.model)), facts([
        ["Architecture", x.architecture], ["Parameters", count(x.parameters)], ["Weights", x.weights.slice(0, 12)], ["Memory", bytes(x.memory_bytes)],
        ["Answers", count(x.answers)], ["Writing now", count(x.running)], ["Waiting", count(x.queue)],
        ["Tokens of prompts", count(x.prompt_tokens)], ["… not computed again", percent(x.reused_tokens, x.reused_tokens + x.pass_tokens)],
        ["Tokens of answers", count(x.completion_tokens)], ["Guessed tokens that were right", percent(x.guessed_right, x.guessed_tokens)],
        ["Tokens a pass", x.passes > 0 ? (x.pass_tokens / x.passes).toFixed(1) : "–"],
        ["Pages of context in use", `${count(x.pages_used)} of ${count(x.pages)}`], ["… kept for later", count(x.pages_kept)]]));
    }

    return {
      async refresh() {
        const data = await get("/admin/v1/engine", signal);
        const x = data.encoder, m = data.local;
        const look = { at: performance.now(), texts: x?.texts ?? 0, tokens: m?.pass_tokens ?? 0 };
        const cards = [];
        if (x) {
          cards.push(figure("Encoder, one core", rate(x.texts, x.cpu_seconds), "questions/s", `${seconds(x.texts > 0 ? x.cpu_seconds / x.texts : 0)} of CPU each`));
          cards.push(figure("Encoder, now", now(look, "texts"), "questions/s", `${count(x.queue)} waiting`));
        }
        if (m) {
          cards.push(figure("Built-in model", rate(m.completion_tokens, m.answer_seconds), "tokens/s", "of an answer, waiting included"));
          cards.push(figure("Built-in model, CPU", rate(m.completion_tokens, m.cpu_seconds), "tokens/s", "a core, prompts included"));
          cards.push(figure("Built-in model, now", now(look, "tokens"), "tokens/s", "of prompts and answers"));
        }
        cards.push(figure("Instructions", data.kernels, "", "what the engine computes with"));
        body.replaceChildren(h("div", { class: "cards" }, cards), h("div", { class: "pair" }, encoder(data, x), local(m)));
        before = look;
      },
    };
  },
};
