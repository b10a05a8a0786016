import { getText } from "./api.js";
import { empty, h } from "./dom.js";

/** "  name: value" as an element each, the name in colour. */
function line(text) {
  const at = text.match(/^(\s*(?:- )?)([\w.]+)(:.*)$/);
  return h("span", {}, at ? [at[1], h("span", { class: "name" }, at[2]), at[3]] : text, "\n");
}

export const page = {
  id: "configuration",
  title: "Configuration",
  lead: "What this ibid runs with, from file, environment and defaults. Secrets are masked; it can be used as a file.",

  open({ body, signal }) {
    const filter = h("input", { type: "search", placeholder: "threshold, timeout, listen…" });
    const text = h("pre", { class: "config", tabindex: "0", role: "region", "aria-label": "Configuration" });
    let lines = [];
    const draw = () => {
      const want = filter.value.trim().toLowerCase();
      const keep = new Set();
      lines.forEach((l, i) => {
        if (!l.toLowerCase().includes(want)) return;
        keep.add(i);
        // A line alone does not say whose it is.
        for (let k = i, depth = l.search(/\S/); k >= 0 && depth > 0; k--) {
          const d = lines[k].search(/\S/);
          if (d >= 0 && d < depth) {
            keep.add(k);
            depth = d;
          }
        }
      });
      if (keep.size) text.replaceChildren(...lines.filter((_, i) => keep.has(i)).map(line));
      else text.replaceChildren(empty("No line has that."));
    };
    filter.addEventListener("input", draw);
    body.append(h("div", { class: "row" }, h("label", { class: "field grow" }, h("span", {}, "Show lines with"), filter)), text);

    return {
      live: false,
      async refresh() {
        lines = (await getText("/admin/v1/config", signal)).split("\n").filter((l) => l !== "");
        draw();
      },
    };
  },
};
