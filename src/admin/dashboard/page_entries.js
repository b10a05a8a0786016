import { get, query, remove } from "./api.js";
import { empty, h, say, table, twice } from "./dom.js";
import { ago, brief, bytes, count, moment, nobody } from "./format.js";

export const page = {
  id: "entries",
  title: "Entries",
  lead: "Stored answers, the newest first. Answers themselves are not shown.",

  open({ body, fields, signal }) {
    const own = (name) => fields.get(name) ?? "";
    const search = h("input", { type: "search", name: "q", value: own("q"), maxlength: "128", placeholder: "model, question or beginning of a key" });
    const results = h("div", {});
    let after;

    const go = (more) => {
      location.hash = `#/entries${query({ q: own("q"), partition: own("partition"), tenant: own("tenant"), ...more })}`;
    };
    const chip = (name, value) => h("span", { class: "chip" }, `${name} `, h("span", { class: "key" }, brief(value)),
      h("a", { href: `#/entries${query({ q: own("q"), partition: own("partition"), tenant: own("tenant"), [name]: "" })}`, "aria-label": `Without the ${name}` }, "×"));
    body.append(
      h("form", { class: "row", role: "search", onsubmit(event) {
        event.preventDefault();
        const q = search.value.trim();
        if (q === own("q")) load().catch(failed);
        else go({ q });
      } }, h("label", { class: "field grow" }, h("span", {}, "Search"), search), h("button", { type: "submit" }, "Search")),
      h("p", {}, own("partition") ? chip("partition", own("partition")) : null, " ", own("tenant") ? chip("tenant", own("tenant")) : null),
      results);

    function failed(e) {
      if (e.name === "AbortError") return;
      results.prepend(h("div", { class: "note bad", role: "alert" }, h("p", {}, `${e.message}.`)));
    }

    async function drop(entry) {
      try {
        await remove(`/admin/v1/entries/${entry.entry}`);
        say("The entry is gone.");
        await load();
      } catch (e) {
        failed(e);
      }
    }

    const columns = (questions) => [
      questions ? { name: "Question", wide: true, cell: (e) => e.question || h("span", { class: "soft" }, "found by the very same request only") }
        : { name: "Entry", cell: (e) => h("span", { class: "key", title: e.entry }, brief(e.entry)) },
      { name: "Model", cell: (e) => e.model },
      { name: "Stored", num: true, cell: (e) => h("time", { datetime: new Date(e.created_ms).toISOString(), title: moment(e.created_ms) }, ago(e.created_ms)) },
      { name: "Ends", num: true, cell: (e) => ago(e.expires_ms) },
      { name: "Tokens in / out", num: true, cell: (e) => `${count(e.prompt_tokens)} / ${count(e.completion_tokens)}` },
      { name: "Answer", num: true, cell: (e) => bytes(e.answer_bytes) },
      { name: "Partition", cell: (e) => (nobody(e.partition) ? "–" : h("a", { class: "key", href: `#/entries${query({ partition: e.partition })}` }, brief(e.partition).slice(0, 8))) },
      { name: "Actions", do: true, cell: (e) => twice("Remove", "Really remove?", () => drop(e)) },
    ];

    async function load() {
      const all = await get(`/admin/v1/entries${query({ q: own("q"), partition: own("partition"), tenant: own("tenant"), after })}`, signal);
      const filtered = own("q") || own("partition") || own("tenant");
      if (all.entries.length === 0) {
        results.replaceChildren(h("div", { class: "card" }, filtered
          ? empty("Nothing stored matches.", all.questions ? null : "Questions are not searched: explain.questions is hide.")
          : empty("Nothing is stored yet.", "An answer is stored when an upstream, or the built-in model, has given it whole.")));
        return;
      }
      results.replaceChildren(h("section", { class: "card" },
        h("div", { class: "bar" }, h("h2", {}, `${count(all.matched)} ${all.matched === 1 ? "entry" : "entries"}`),
          h("span", { class: "soft small" }, all.questions ? null : "questions are hidden (explain.questions: hide)")),
        table("Entries", columns(all.questions), all.entries)));
      if (!all.whole) results.append(h("p", { class: "note warn" }, "The store is large: only a part of it was read in time."));
      const more = h("p", { class: "row" });
      if (after) more.append(h("button", { type: "button", onclick() { after = undefined; load().catch(failed); } }, "First page"));
      if (all.next) more.append(h("button", { type: "button", onclick() { after = all.next; load().catch(failed); } }, "Older"));
      if (more.childElementCount) results.append(more);
    }

    return { live: false, refresh: load };
  },
};
