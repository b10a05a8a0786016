import { get, query } from "./api.js";
import { empty, h, table } from "./dom.js";
import { ago, brief, bytes, count, nobody, ratio } from "./format.js";

export const page = {
  id: "partitions",
  title: "Partitions",
  lead: "A question is compared with those of its own partition only: the same tenant, model, instructions and parameters.",

  open({ body, controls, signal }) {
    controls.append(h("button", { type: "button", onclick: () => load().catch((e) => {
      if (e.name !== "AbortError") body.replaceChildren(h("div", { class: "note bad", role: "alert" }, h("p", {}, `${e.message}.`)));
    }) }, "Look again"));

    function links(p) {
      const by = nobody(p.partition) ? { tenant: p.tenant } : { partition: p.partition };
      return [h("a", { href: `#/entries${query(by)}` }, "Entries"), " · ", h("a", { href: `#/purge${query(by)}` }, "Purge")];
    }

    function learned(of) {
      return [
        { name: "Threshold", num: true, cell: (p) => (of.has(p.partition) ? ratio(of.get(p.partition).threshold) : "–") },
        { name: "Wrong", num: true, cell: (p) => (of.has(p.partition) ? `${(100 * of.get(p.partition).expected_error).toFixed(2)} %` : "–") },
        { name: "Same / other", num: true, cell: (p) => (of.has(p.partition) ? `${count(of.get(p.partition).same)} / ${count(of.get(p.partition).other)}` : "–") },
      ];
    }

    async function load() {
      const [all, policy] = await Promise.all([get("/admin/v1/entries?limit=1", signal), get("/admin/v1/policy", signal)]);
      const of = new Map((policy.partitions ?? []).map((p) => [p.partition, p]));
      if (all.partitions.length === 0) {
        body.replaceChildren(h("div", { class: "card" }, empty("Nothing is stored yet.")));
        return;
      }
      const columns = [
        { name: "Partition", cell: (p) => (nobody(p.partition) ? "very same request only" : h("span", { class: "key", title: p.partition }, brief(p.partition).slice(0, 8))) },
        { name: "Tenant", cell: (p) => h("a", { class: "key", href: `#/entries${query({ tenant: p.tenant })}` }, brief(p.tenant).slice(0, 8)) },
        { name: "Latest model", cell: (p) => p.model },
        { name: "Entries", num: true, cell: (p) => count(p.entries) },
        { name: "Answers", num: true, cell: (p) => bytes(p.answer_bytes) },
        { name: "Newest", num: true, cell: (p) => ago(p.newest_ms) },
        ...(policy.policy === "bounded" ? learned(of) : []),
        { name: "Actions", do: true, cell: links },
      ];
      body.replaceChildren(h("section", { class: "card" },
        h("div", { class: "bar" }, h("h2", {}, `${count(all.partitions.length)} partitions`), h("span", { class: "soft small" }, `${count(all.matched)} entries`)),
        table("Partitions", columns, all.partitions)));
      if (all.ungrouped > 0) body.append(h("p", { class: "soft small" }, `${count(all.ungrouped)} entries are of further partitions.`));
      if (!all.whole) body.append(h("p", { class: "note warn" }, "The store is large: only a part of it was read in time."));
    }

    return { live: false, refresh: load };
  },
};
