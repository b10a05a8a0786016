import { get } from "./api.js";
import { empty, h, svg, table } from "./dom.js";
import { bytes, count, percent, usd } from "./format.js";

const bar = (part, all) => svg("svg", { class: "share", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
  svg("rect", { class: "rail", width: 100, height: 8 }), svg("rect", { class: "part", width: all > 0 ? (100 * part) / all : 0, height: 8 }));

/** Rows of the ledger, by route and model. */
function byModel(ledger) {
  const of = new Map();
  for (const r of ledger.rows) {
    const key = JSON.stringify([r.route, r.model]);
    if (!of.has(key)) of.set(key, { route: r.route, model: r.model, requests: 0, cached: 0, local: 0, upstream: 0, tokens: 0, paid: 0, saved: 0 });
    const sum = of.get(key);
    sum.requests += r.requests;
    if (r.source === "upstream" || r.source === "local") sum[r.source] += r.requests;
    else sum.cached += r.requests;
    if (r.source === "upstream") {
      sum.tokens += r.prompt_tokens + r.completion_tokens;
      sum.paid += r.usd;
    } else if (r.source !== "local") {
      sum.saved += r.usd;
    }
  }
  return [...of.values()].sort((a, b) => b.requests - a.requests).slice(0, 100);
}

function conditions(r) {
  const list = [r.models && `model ${r.models}`, r.path && `path ${r.path}`, r.header && `header ${r.header}`, r.regex && `question like /${r.regex}/`,
    r.bytes_min > 0 && `at least ${bytes(r.bytes_min)}`, r.bytes_max > 0 && `at most ${bytes(r.bytes_max)}`].filter(Boolean);
  return list.length ? list.join(", ") : "anything";
}

export const page = {
  id: "routes",
  title: "Routes",
  lead: "Who was asked when nothing stored answered, and why.",

  open({ body, signal }) {
    const section = (title, under, content) => h("section", { class: "card" },
      h("div", { class: "bar" }, h("h2", {}, title), under ? h("span", { class: "soft small" }, under) : null), content);

    return {
      async refresh() {
        const [r, ledger] = await Promise.all([get("/admin/v1/routes", signal), get("/admin/v1/ledger", signal)]);
        const reasons = ["local", "upstream"].flatMap((tier) => Object.entries(r.routed[tier]).map(([why, n]) => ({ tier, why, n })));
        const all = reasons.reduce((a, x) => a + x.n, 0);
        const models = byModel(ledger);
        body.replaceChildren(
          section("Upstreams", `${count(r.failures)} failures, ${count(r.timeouts)} timeouts, ${count(r.failovers)} failovers, ${count(r.broken)} broken answers since the start`,
            r.places.length ? table("Upstreams", [
              { name: "Upstream", cell: (p) => p.upstream }, { name: "Place", cell: (p) => h("code", {}, p.host) },
              { name: "State", cell: (p) => (p.up ? "up" : h("strong", {}, "can not be reached")) },
              { name: "For models", cell: (p) => p.models || "any" },
              { name: "Connections", num: true, cell: (p) => count(p.connections) }, { name: "Waiting", num: true, cell: (p) => count(p.waiting) },
              { name: "Kept connections used", num: true, cell: (p) => percent(p.reuses, p.reuses + p.connects) }, { name: "Retries", num: true, cell: (p) => count(p.retries) },
            ], r.places) : empty("No upstream is configured; the built-in model answers.")),
          section("Built-in model or upstream", "of requests that were ibid's to route",
            all > 0 ? table("Routing by reason", [
              { name: "Asked", cell: (x) => (x.tier === "local" ? "built-in model" : "upstream") }, { name: "Because", cell: (x) => x.why.replaceAll("_", " ") },
              { name: "Requests", num: true, cell: (x) => count(x.n) }, { name: "Share", num: true, cell: (x) => percent(x.n, all) },
              { name: "", wide: true, cell: (x) => bar(x.n, all) },
            ].map((c) => (c.name ? c : { ...c, name: "Share, drawn" })), reasons) : empty("ibid has chosen between no models yet.", "With route.models and a built-in model it sends what is easy to the small one.")),
          r.rules.length ? section("Rules", "in the order of asking; the first that applies", table("Rules", [
            { name: "Rule", cell: (x) => x.name }, { name: "When", wide: true, cell: conditions }, { name: "Goes to", cell: (x) => x.to },
          ], r.rules)) : "",
          section("By route and model", "as long as the ledger goes back", models.length ? table("Requests by route and model", [
            { name: "Model", cell: (m) => m.model || "–" }, { name: "Route", cell: (m) => m.route || "–" },
            { name: "Requests", num: true, cell: (m) => count(m.requests) }, { name: "From the cache", num: true, cell: (m) => percent(m.cached, m.requests) },
            { name: "Built-in", num: true, cell: (m) => count(m.local) }, { name: "Upstream", num: true, cell: (m) => count(m.upstream) },
            { name: "Paid", num: true, cell: (m) => usd(m.paid) }, { name: "Saved", num: true, cell: (m) => usd(m.saved) },
          ], models) : empty("No request has come yet.")));
      },
    };
  },
};
