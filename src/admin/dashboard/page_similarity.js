import { get } from "./api.js";
import { chart } from "./charts.js";
import { choice, empty, h } from "./dom.js";
import { count } from "./format.js";

const OUTCOMES = [["served", "Served", "exact"], ["held_back", "A hit, not served", "coalesced"],
  ["below_threshold", "Not certain enough", "upstream"], ["guarded", "Refused by a guard", "local"]];

export const page = {
  id: "similarity",
  title: "Similarity",
  lead: "How near the best stored question was, and what came of it, for the decisions that are kept.",

  open({ body, controls, signal }) {
    let which = "probability", last;
    const place = h("div", {});
    const picture = chart({ label: "Decisions by how near the best stored question was", kind: "stack", height: 300, x: "From",
      xFormat: (v) => v.toFixed(2), space: 50 });
    const title = h("h2", {}), about = h("p", { class: "soft small" });
    const card = h("section", { class: "card" }, h("div", { class: "bar" }, title), picture.element, about);
    controls.append(choice("Measure", [["probability", "Confidence"], ["similarity", "Cosine"]], which, (value) => {
      which = value;
      if (last) draw(last);
    }));
    body.append(place);

    function draw(data) {
      if (!data.kept || data.decisions === 0) {
        place.replaceChildren(h("div", { class: "card" }, data.kept
          ? empty("No near question has come yet.", "A decision appears here when a question comes near to a stored one.")
          : empty("No decision is kept.", "explain.bytes_max is 0; give it some memory to see decisions here.")));
        return;
      }
      if (!place.contains(card)) place.replaceChildren(card);
      const counts = data[which];
      const bins = counts.served.length;
      // What is below the half says nothing, unless something lies there.
      const any = (i) => OUTCOMES.some(([n]) => counts[n][i] > 0);
      let first = bins / 2;
      for (let i = 0; i < first; i++) if (any(i)) first = i;
      const x = Array.from({ length: bins - first }, (_, i) => (first + i + 0.5) * data.step);
      const mark = which === "probability" ? { at: data.threshold, text: `Threshold ${data.threshold.toFixed(2)}` }
        : { at: data.floor, text: `Floor ${data.floor.toFixed(2)}` };
      title.textContent = which === "probability" ? "Confidence that both questions want the same answer" : "Cosine of the two questions' vectors";
      about.textContent = which === "probability"
        ? `${count(data.decisions)} decisions are kept. At the threshold and above a candidate is served, unless a guard speaks against it.${data.policy === "bounded" ? " The threshold is the one of all partitions together, now; each partition learns its own." : ""}`
        : `${count(data.decisions)} decisions are kept. Below the floor nothing is looked at; the threshold is one of confidence, which weighs more than the cosine.`;
      picture.set({ x, range: [first * data.step, 1], marks: [mark],
        series: OUTCOMES.map(([n, name, colour]) => ({ name, colour, values: counts[n].slice(first), total: counts[n].reduce((a, b) => a + b, 0) })) });
    }

    return {
      async refresh() {
        last = await get("/admin/v1/similarity", signal);
        draw(last);
      },
      close: () => picture.close(),
    };
  },
};
