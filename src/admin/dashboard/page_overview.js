import { get, ready } from "./api.js";
import { chart } from "./charts.js";
import { choice, empty, figure, h } from "./dom.js";
import { clock, count, joulesParts, percent, seconds, secondsParts, share, usd } from "./format.js";

const SOURCES = [
  ["exact", "Same request"], ["semantic", "Same meaning"], ["coalesced", "Joined in flight"],
  ["local", "Built-in model"], ["upstream", "Upstream"],
];
/** Points of the series that make one bar. */
const WINDOWS = { hour: { bar_s: 60, name: "Last hour", each: "a minute", least_s: 900 },
  day: { bar_s: 900, name: "Last day", each: "15 minutes", least_s: 4 * 3600 } };

/** Sums of each bar's points; x is the bar's middle, in seconds. */
function bars(ring, bar_s, names) {
  const x = [], sums = Object.fromEntries(names.map((n) => [n, []]));
  ring.at_ms.forEach((ms, i) => {
    // A point is of the step that ended then.
    const at = Math.floor((ms / 1000 - ring.step_s / 2) / bar_s) * bar_s + bar_s / 2;
    if (x.at(-1) !== at) {
      x.push(at);
      for (const n of names) sums[n].push(0);
    }
    for (const n of names) sums[n][x.length - 1] += ring[n][i] ?? 0;
  });
  return { x, sums };
}

/** Seconds between two marks of the time axis. */
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600];

const total = (list) => list.reduce((a, b) => a + b, 0);

export const page = {
  id: "overview",
  title: "Overview",
  lead: "What was answered, by whom, and what that saved.",

  open({ body, controls, signal }) {
    let window = "hour", last;
    const figures = h("div", { class: "cards" });
    const notes = h("div", {});
    const xFormat = (s) => clock(s * 1000);
    const requests = chart({ label: "Requests by who answered, over time", kind: "stack", height: 240, xFormat, xSteps: STEPS });
    const hits = chart({ label: "Share of answers from the cache, over time", kind: "line", height: 170, xFormat, xSteps: STEPS, format: share });
    const errors = chart({ label: "Wrong answers a request, as far as was learned, and the bound", kind: "line", height: 170, xFormat, xSteps: STEPS,
      format: (v) => `${(100 * v).toFixed(2)} %` });
    const tokens = chart({ label: "Tokens that were not paid again, over time", kind: "stack", height: 170, xFormat, xSteps: STEPS });
    const errorCard = h("div", { class: "card" });
    const each = h("span", { class: "soft small" });

    controls.append(choice("Time", Object.entries(WINDOWS).map(([k, w]) => [k, w.name]), window, (value) => {
      window = value;
      if (last) draw(last);
    }));
    body.append(notes, figures,
      h("section", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "Requests by who answered"), each), requests.element),
      h("div", { class: "pair" },
        h("section", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "Answered from the cache")), hits.element),
        errorCard),
      h("section", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "Tokens not paid again")), tokens.element));

    function draw({ series, savings, policy, stats, inbox, state }) {
      drawNotes(state);
      drawFigures(savings, policy, inbox, stats);
      const w = WINDOWS[window], ring = series[window];
      const { x, sums } = bars(ring, w.bar_s, [...SOURCES.map(([n]) => n), "saved_tokens"]);
      const end = Date.now() / 1000;
      const range = [Math.min(x[0] ?? end, end - w.least_s) - w.bar_s / 2, Math.max(end, (x.at(-1) ?? 0) + w.bar_s / 2)];
      each.textContent = w.each === "a minute" ? "a minute each" : "15 minutes each";
      requests.set({ x, range, series: SOURCES.map(([n, name]) => ({ name, colour: n, values: sums[n], total: total(sums[n]) })) });
      tokens.set({ x, range, series: [{ name: "Tokens", colour: "exact", values: sums.saved_tokens, total: total(sums.saved_tokens) }] });
      drawHits(x, range, sums);
      drawErrors(ring, range, policy, savings, inbox);
    }

    function drawHits(x, range, sums) {
      const all = x.map((_, i) => total(SOURCES.map(([n]) => sums[n][i])));
      const cached = x.map((_, i) => sums.exact[i] + sums.semantic[i] + sums.coalesced[i]);
      hits.set({ x, range, top: 1, series: [{ name: "From the cache", colour: "exact",
        values: all.map((n, i) => (n > 0 ? cached[i] / n : null)), total: total(all) > 0 ? total(cached) / total(all) : null }] });
    }

    function drawErrors(ring, range, policy, savings, inbox) {
      const x = ring.at_ms.slice(0, ring.expected_error.length).map((ms) => ms / 1000);
      if (policy.policy === "bounded") {
        if (!errorCard.contains(errors.element))
          errorCard.replaceChildren(h("div", { class: "bar" }, h("h2", {}, "Wrong answers, expected")), errors.element);
        errors.set({ x, range, series: [
          { name: "Expected", colour: "semantic", values: ring.expected_error, total: policy.all.expected_error },
          { name: "Bound", colour: "bad", dash: [6, 4], values: x.map(() => policy.error_max), total: policy.error_max }] });
        return;
      }
      errorCard.replaceChildren(h("div", { class: "bar" }, h("h2", {}, "Wrong answers, reported")),
        h("dl", { class: "facts" },
          h("dt", {}, "Hits by meaning"), h("dd", {}, count(savings.requests.semantic)),
          h("dt", {}, "Reported wrong"), h("dd", {}, count(inbox.reported_wrong)),
          h("dt", {}, "Confirmed right"), h("dd", {}, count(inbox.reported_right)),
          h("dt", {}, "Waiting to be judged"), h("dd", {}, h("a", { href: "#/inbox" }, count(inbox.waiting))),
          h("dt", {}, "Threshold"), h("dd", {}, policy.threshold.toFixed(2))),
        h("p", { class: "soft small" }, "The policy ", h("code", {}, "threshold"), " promises no bound on errors; ",
          h("code", {}, "cache.policy: bounded"), " learns one and keeps it."));
    }

    function drawNotes(state) {
      const parts = Object.entries(state.parts);
      notes.replaceChildren();
      if (parts.length > 0)
        notes.append(h("div", { class: "note warn" }, h("p", {}, h("strong", {}, "Not all parts are there."), " Requests go on without them."),
          h("ul", {}, parts.map(([name, why]) => h("li", {}, h("strong", {}, name.replace("_", " ")), `: ${why}`)))));
    }

    function drawFigures(savings, policy, inbox, stats) {
      const r = savings.requests, saved = savings.saved;
      const all = r.exact + r.semantic + r.coalesced + r.local + r.upstream;
      const own = savings.own_energy_wh.measured + savings.own_energy_wh.estimated;
      const cards = [
        figure("From the cache", percent(savings.answered_from_cache, all).replace(" %", ""), all > 0 ? "%" : "", `${count(savings.answered_from_cache)} of ${count(all)} requests`),
        figure("Money saved", usd(saved.usd), "", saved.unpriced_tokens > 0 ? `${count(saved.unpriced_tokens)} tokens have no price` : `${usd(savings.upstream_usd)} were paid`),
        figure("Tokens saved", count(saved.prompt_tokens + saved.completion_tokens), "", `${count(saved.completion_tokens)} of them generated`),
        figure("Time saved", ...secondsParts(saved.seconds), `own work: ${seconds(-savings.own_cost_cpu_seconds.total)} of CPU`),
        figure("Energy saved", ...joulesParts(saved.upstream_wh), own > 0 ? `${joulesParts(own).join(" ")} used by ibid` : saved.upstream_wh > 0 ? "upstream, by the prices' figures" : "no price has energy figures"),
        policy.policy === "bounded"
          ? figure("Wrong, expected", (100 * policy.all.expected_error).toFixed(2), "%", `bound: ${(100 * policy.error_max).toFixed(2)} %`)
          : figure("Reported wrong", count(inbox.reported_wrong), "", `of ${count(r.semantic)} hits by meaning`),
      ];
      figures.replaceChildren(...cards);
      if (stats.requests.received === 0)
        notes.append(h("section", { class: "card" }, empty("No request has come yet.",
          "Point an application's base_url at this ibid; its answers appear here within ten seconds.")));
    }

    return {
      async refresh() {
        const [series, savings, policy, stats, inbox, state] = await Promise.all([
          get("/admin/v1/series", signal), get("/admin/v1/savings", signal), get("/admin/v1/policy", signal),
          get("/admin/v1/stats", signal), get("/admin/v1/inbox", signal), ready(signal)]);
        last = { series, savings, policy, stats, inbox, state };
        draw(last);
      },
      close() {
        for (const c of [requests, hits, errors, tokens]) c.close();
      },
    };
  },
};
