// Charts: uPlot where this ibid was built with it, and the same figures as a table always, for those who can not
// see a picture. A chart is told its data anew and keeps its place.
import { h } from "./dom.js";
import { count } from "./format.js";

export const drawn = typeof uPlot === "function";

/** A colour of the style sheet, as it is now. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Steps of an axis that counts. */
const WHOLE = Array.from({ length: 13 }, (_, e) => [1, 2, 5].map((n) => n * 10 ** e)).flat();

/** Sums from the first on, so that what is drawn later stands in front and each shows its own part. */
function stacked(series) {
  const sums = series[0].values.map(() => 0);
  return series.map((s) => s.values.map((v, i) => (sums[i] += v)));
}

/**
 * options: {label, kind: "stack" | "line", height, format and xFormat (a figure as text), x (name of the first
 * column), xSteps (between marks of the axis), space (pixels likewise)}. Returns {element, set, close}; set takes
 * {x, series, marks, range, top}: series are {name, colour, values, total, dash}, marks {at, text} stand upright in
 * the chart, range is that of x, top the least end of y.
 */
export function chart(options) {
  const format = options.format ?? count;
  const plot = h("div", { class: "plot", role: "img", "aria-label": options.label });
  const legend = h("ul", { class: "legend" });
  const rows = h("div", {});
  const details = h("details", { class: "figures", ontoggle: tabulate }, h("summary", {}, "Figures"), rows);
  const element = h("figure", {}, plot, legend, details);
  let data, u, hovered = null;

  if (!drawn) {
    details.open = true;
    plot.hidden = true;
  }

  function tabulate() {
    if (!details.open || !data) return;
    const head = [options.x ?? "Time", ...data.series.map((s) => s.name)];
    const body = data.x.map((x, i) => [options.xFormat(x), ...data.series.map((s) => (s.values[i] === null ? "–" : format(s.values[i])))]);
    const table = h("table", {}, h("caption", { class: "unseen" }, options.label),
      h("thead", {}, h("tr", {}, head.map((t, i) => h("th", { scope: "col", class: i ? "num" : undefined }, t)))),
      h("tbody", {}, body.reverse().map((cells) => h("tr", {}, cells.map((t, i) => i
        ? h("td", { class: "num" }, t) : h("th", { scope: "row" }, t))))));
    const at = rows.firstElementChild?.scrollTop ?? 0;
    rows.replaceChildren(h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `${options.label}: figures` }, table));
    rows.firstElementChild.scrollTop = at;
  }

  function describe() {
    const i = hovered;
    const items = data.series.map((s) => {
      const value = i === null ? s.total : s.values[i];
      return h("li", {}, h("span", { class: `swatch ${s.colour}` }), s.name,
        value === undefined || value === null ? null : h("b", {}, format(value)));
    });
    for (const m of data.marks ?? []) items.push(h("li", {}, h("span", { class: "swatch text" }), m.text));
    if (i !== null) items.unshift(h("li", {}, options.xFormat(data.x[i])));
    legend.replaceChildren(...items);
  }

  function values() {
    if (options.kind === "line") return [data.x, ...data.series.map((s) => s.values)];
    return [data.x, ...stacked(data.series).reverse()];
  }

  function drawMarks(plotted) {
    const { ctx, bbox } = plotted;
    for (const m of data.marks ?? []) {
      const x = Math.round(plotted.valToPos(m.at, "x", true));
      ctx.save();
      ctx.strokeStyle = colour("text");
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    }
  }

  function build() {
    u?.destroy();
    const axis = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false },
      font: "12px system-ui, sans-serif" };
    const bars = options.kind === "line" ? undefined : uPlot.paths.bars({ size: [0.82, 60], radius: 0 });
    const ordered = options.kind === "line" ? data.series : [...data.series].reverse();
    u = new uPlot({
      width: plot.clientWidth || 300, height: options.height ?? 220,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: options.kind === "line" }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: () => data.range }, y: { range: (_, low, high) => [0, top(high)] } },
      axes: [
        { ...axis, size: 28, gap: 4, space: options.space ?? 70, grid: { show: false }, values: (_, splits) => splits.map((s) => options.xFormat(s)), ...(options.xSteps ? { incrs: options.xSteps } : {}) },
        { ...axis, size: 52, gap: 4, values: (_, splits) => splits.map((s) => format(s)), ...(options.format ? {} : { incrs: WHOLE }) },
      ],
      series: [{}, ...ordered.map((s) => ({
        label: s.name, points: { show: false }, paths: bars,
        stroke: colour(s.colour), width: options.kind === "line" ? 2 : 0, dash: s.dash,
        fill: options.kind === "line" ? undefined : colour(s.colour), spanGaps: false,
      }))],
      hooks: {
        draw: [drawMarks],
        setCursor: [(plotted) => {
          const i = plotted.cursor.idx ?? null;
          if (i === hovered) return;
          hovered = i;
          describe();
        }],
      },
    }, values(), plot);
  }

  function top(high) {
    return Math.max(data.top ?? (options.format ? 0 : 5), high * 1.08) || 1;
  }

  const resized = new ResizeObserver(() => {
    if (u && plot.clientWidth > 0 && Math.abs(plot.clientWidth - u.width) > 1)
      u.setSize({ width: plot.clientWidth, height: options.height ?? 220 });
  });
  resized.observe(plot);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => u && build();
  dark.addEventListener("change", recolour);

  return {
    element,
    set(next) {
      const names = (d) => d?.series.map((s) => s.name).join();
      const anew = names(data) !== names(next);
      data = next;
      data.range ??= [data.x[0] ?? 0, data.x.at(-1) ?? 1];
      if (hovered !== null && hovered >= data.x.length) hovered = null;
      describe();
      tabulate();
      if (!drawn) return;
      if (!u || anew) build();
      else u.setData(values());
    },
    close() {
      resized.disconnect();
      dark.removeEventListener("change", recolour);
      u?.destroy();
    },
  };
}
