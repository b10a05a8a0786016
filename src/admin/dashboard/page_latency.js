import { get } from "./api.js";
import { empty, h, svg, table } from "./dom.js";
import { count, seconds } from "./format.js";

const SOURCES = { exact: "Same request", semantic: "Same meaning", coalesced: "Joined in flight", local: "Built-in model", upstream: "Upstream" };
const STEPS = {
  decode: "bytes to what is asked", choose: "which upstream", screen: "personal data", admit: "who asks, what may be reused",
  veil: "placeholders for personal data", exact: "the same request before", gather: "several inputs", join: "the same request in flight",
  lookup: "embed, find, decide", recall: "fetch the chosen entry", replay: "answer from an entry", route: "who answers",
  vectors: "the built-in encoder", local: "the built-in model", forward: "the upstream",
};

/** As Prometheus' histogram_quantile: in a bucket the values lie evenly. null: beyond the last bound. */
function quantile(h, bounds, q) {
  let below = 0;
  const want = q * h.total;
  for (let i = 0; i < bounds.length; i++) {
    const n = h.counts[i];
    if (n > 0 && below + n >= want) {
      const low = i > 0 ? bounds[i - 1] : 0;
      return low + ((bounds[i] - low) * (want - below)) / n;
    }
    below += n;
  }
  return null;
}

/** From the median to the 99th percentile, on a scale of powers of ten. */
function strip(p50, p99, bounds) {
  const low = Math.log10(bounds[0] / 5), high = Math.log10(bounds.at(-1));
  const at = (v) => 4 + 192 * Math.min(1, Math.max(0, (Math.log10(Math.max(v ?? bounds.at(-1), 1e-9)) - low) / (high - low)));
  const picture = svg("svg", { class: "strip", viewBox: "0 0 200 16", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (let e = Math.ceil(low); e <= high; e++) {
    const x = at(10 ** e);
    picture.append(svg("line", { class: "rail", x1: x, x2: x, y1: 0, y2: 16, "vector-effect": "non-scaling-stroke" }));
  }
  // Drawn by their strokes, which keep their shape while the picture is stretched.
  const stroke = { y1: 8, y2: 8, "vector-effect": "non-scaling-stroke" };
  picture.append(svg("line", { class: "most", x1: at(p50), x2: at(p99) + 0.01, ...stroke }));
  picture.append(svg("line", { class: "half", x1: at(p50), x2: at(p50) + 0.01, ...stroke }));
  return picture;
}

function rows(histograms, names, data) {
  return Object.entries(histograms).filter(([, h]) => h.total > 0).map(([id, h]) => ({
    id, name: names[id] ?? id, total: h.total, mean: h.sum_seconds / h.total,
    p: [0.5, 0.9, 0.99].map((q) => quantile(h, data.bounds_seconds, q)),
  }));
}

/** The outermost buckets have one bound only. */
function shown(v, bounds) {
  if (v === null) return `> ${seconds(bounds.at(-1))}`;
  return v <= bounds[0] ? `≤ ${seconds(bounds[0])}` : seconds(v);
}

function columns(first, bounds) {
  const value = (name, i) => ({ name, num: true, cell: (r) => shown(r.p[i], bounds) });
  return [first, { name: "Requests", num: true, cell: (r) => count(r.total) }, { name: "Mean", num: true, cell: (r) => (r.mean < 1e-6 ? "< 1 µs" : seconds(r.mean)) },
    value("p50", 0), value("p90", 1), value("p99", 2),
    { name: "p50 to p99", wide: true, cell: (r) => strip(r.p[0], r.p[2], bounds) }];
}

export const page = {
  id: "latency",
  title: "Latency",
  lead: "How long answers took, and where in the pipeline. Percentiles are estimated from the buckets of /metrics, since the start.",

  open({ body, signal }) {
    return {
      async refresh() {
        const data = await get("/admin/v1/latency", signal);
        const bounds = data.bounds_seconds;
        const sources = rows(data.sources, SOURCES, data), steps = rows(data.steps, STEPS, data);
        if (sources.length === 0 && steps.length === 0) {
          body.replaceChildren(h("div", { class: "card" }, empty("No request has come yet.")));
          return;
        }
        body.replaceChildren(
          h("section", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "By who answered"),
            h("span", { class: "soft small" }, "first byte of the request to last byte of the answer")),
          table("Latency by who answered", columns({ name: "Answer from", cell: (r) => r.name }, bounds), sources)),
          h("section", { class: "card" }, h("div", { class: "bar" }, h("h2", {}, "By step"),
            h("span", { class: "soft small" }, "of steps that did not wait, one request in sixteen")),
          table("Latency by step", columns({ name: "Step", cell: (r) => [h("span", {}, r.id), h("div", { class: "soft small" }, r.name)] }, bounds), steps)));
      },
    };
  },
};
