import { get, query, remove } from "./api.js";
import { h, say } from "./dom.js";
import { brief, count } from "./format.js";

const UNITS = [["60", "minutes"], ["3600", "hours"], ["86400", "days"]];

export const page = {
  id: "purge",
  title: "Purge",
  lead: "Removes stored answers from memory, index and store, here and on every replica that shares the store. It can not be undone.",

  open({ body, fields, signal }) {
    const partition = h("input", { name: "partition", value: fields.get("partition") ?? "", class: "key", spellcheck: "false", autocomplete: "off", maxlength: "64", placeholder: "64 hexadecimal digits; empty: any", list: "partitions" });
    const tenant = h("input", { name: "tenant", value: fields.get("tenant") ?? "", class: "key", spellcheck: "false", autocomplete: "off", maxlength: "64", placeholder: "64 hexadecimal digits; empty: any", list: "tenants" });
    const age = h("input", { name: "age", type: "number", min: "0", max: "1000000", step: "1", inputmode: "numeric", placeholder: "any age" });
    const unit = h("select", { "aria-label": "Unit of the age" }, UNITS.map(([s, name]) => h("option", { value: s, selected: name === "hours" }, name)));
    const partitions = h("datalist", { id: "partitions" }), tenants = h("datalist", { id: "tenants" });
    const result = h("div", {});
    let previewed; // the query that was counted

    const wish = () => {
      const by = { partition: partition.value.trim(), tenant: tenant.value.trim(),
        older_than_s: age.value === "" ? "" : String(Number(age.value) * Number(unit.value)) };
      return query(by) || "?all=1";
    };
    const words = () => {
      const by = [];
      if (partition.value.trim()) by.push(`of partition ${brief(partition.value.trim())}`);
      if (tenant.value.trim()) by.push(`of tenant ${brief(tenant.value.trim())}`);
      if (age.value !== "") by.push(`older than ${age.value} ${unit.selectedOptions[0].textContent}`);
      return by.length ? by.join(", ") : "of everybody: the whole cache";
    };
    const changed = () => result.replaceChildren();
    const failed = (e) => {
      if (e.name !== "AbortError") result.replaceChildren(h("div", { class: "note bad", role: "alert" }, h("p", {}, `${e.message}.`)));
    };

    async function preview(event) {
      event.preventDefault();
      previewed = wish();
      const said = words();
      try {
        const r = await remove(`/admin/v1/entries${previewed}&dry_run=1`);
        const text = `${count(r.matched)} ${r.matched === 1 ? "entry" : "entries"} ${said}`;
        say(text);
        result.replaceChildren(h("div", { class: "card" }, h("div", { class: "verdict" }, h("p", {}, h("strong", {}, text), r.more ? " (and more than one purge removes)" : ""),
          r.matched > 0 ? h("div", {}, h("button", { type: "button", class: "bad", onclick: purge }, `Remove ${count(r.matched)}`)) : null)));
      } catch (e) {
        failed(e);
      }
    }

    async function purge() {
      this.disabled = true;
      try {
        const r = await remove(`/admin/v1/entries${previewed}`);
        const text = `${count(r.removed)} ${r.removed === 1 ? "entry was" : "entries were"} removed.`;
        say(text);
        result.replaceChildren(h("div", { class: "note", tabindex: "-1" }, h("p", {}, text, r.more ? " There are more: purge again." : "")));
        result.firstElementChild.focus();
      } catch (e) {
        failed(e);
      }
    }

    body.append(h("form", { class: "card", onsubmit: preview, oninput: changed },
      h("div", { class: "row" }, h("label", { class: "field grow" }, h("span", {}, "Partition"), partition), h("label", { class: "field grow" }, h("span", {}, "Tenant"), tenant)),
      h("div", { class: "row" }, h("label", { class: "field" }, h("span", {}, "Older than"), age), unit),
      h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Count them first"),
        h("span", { class: "soft small" }, "All that is filled in must hold; nothing filled in is everything.")), partitions, tenants),
    h("section", {}, result));

    return {
      live: false,
      async refresh() {
        const all = await get("/admin/v1/entries?limit=1", signal);
        const unique = (list) => [...new Set(list)].filter((x) => !/^0*$/.test(x));
        partitions.replaceChildren(...unique(all.partitions.map((p) => p.partition)).map((p) => h("option", { value: p })));
        tenants.replaceChildren(...unique(all.partitions.map((p) => p.tenant)).map((t) => h("option", { value: t })));
      },
    };
  },
};
