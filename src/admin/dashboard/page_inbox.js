import { get, post } from "./api.js";
import { empty, h, say } from "./dom.js";
import { ago, brief, count, moment, ratio } from "./format.js";

/** The text with the words marked that the other has not. */
function marked(text, other) {
  const words = (t) => t.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const theirs = new Set(words(other));
  return text.split(/([\p{L}\p{N}]+)/u).map((piece, i) => (i % 2 && !theirs.has(piece.toLowerCase()) ? h("mark", {}, piece) : piece));
}

const JUDGES = { answer: "a fresh answer", local: "the model here", upstream: "an upstream" };

export const page = {
  id: "inbox",
  title: "Inbox",
  lead: "Hits by meaning that nobody has judged, the least certain first. A pair that is called wrong is never a hit again.",

  open({ body, controls, signal, changed }) {
    const evict = h("input", { type: "checkbox", checked: true });
    const list = h("ul", { class: "pairs" });
    const top = h("div", {});
    controls.append(h("button", { type: "button", onclick: () => load().catch((e) => failed(e)) }, "Look again"));
    body.append(top, list);

    function failed(e) {
      if (e.name === "AbortError") return;
      top.replaceChildren(h("div", { class: "note bad", role: "alert" }, h("p", {}, `${e.message}.`)));
    }

    async function judge(pair, item, verdict) {
      for (const b of item.querySelectorAll("button")) b.disabled = true;
      let r;
      try {
        r = await post("/admin/v1/feedback", { request: pair.request, verdict, ...(verdict === "wrong" && evict.checked ? { evict: true } : {}) });
      } catch (e) {
        failed(e);
        for (const b of item.querySelectorAll("button")) b.disabled = false;
        return;
      }
      say(verdict === "right" ? "Noted as right." : r.evicted ? "Noted as wrong; the stored answer is gone." : "Noted as wrong.");
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      if (next) next.querySelector("h2").focus();
      else await load().catch(failed);
      changed();
    }

    function draw(pair, hidden) {
      const name = `pair-${pair.request}`;
      const item = h("li", { class: "card" });
      const facts = `${pair.served ? "served" : "not served"} ${ago(pair.at_ms)} · confidence ${ratio(pair.probability)} (threshold ${ratio(pair.threshold)}) · cosine ${ratio(pair.similarity)}`;
      item.append(h("div", { class: "bar" }, h("h2", { id: name, tabindex: "-1" }, `Hit of ${moment(pair.at_ms)}`), h("span", { class: "soft small" }, facts)));
      if (!hidden)
        item.append(h("div", { class: "sides" },
          h("div", { class: "side" }, h("h3", {}, "Asked"), h("p", {}, marked(pair.asked, pair.stored))),
          h("div", { class: "side" }, h("h3", {}, "Stored, and answered with"), h("p", {}, marked(pair.stored, pair.asked)))));
      item.append(h("div", { class: "verdict" },
        h("span", { class: "soft small" }, "entry ", h("a", { class: "key", href: `#/entries?q=${pair.entry}` }, brief(pair.entry)),
          " · request ", h("span", { class: "key" }, pair.request),
          pair.judged_same === undefined ? null : ` · ${JUDGES[pair.judged_by] ?? "a judge"} said ${pair.judged_same ? "the same" : "something else"}`),
        hidden ? null : h("div", {},
          h("button", { type: "button", "aria-describedby": name, onclick: () => judge(pair, item, "right") }, "Right"),
          h("button", { type: "button", class: "bad", "aria-describedby": name, onclick: () => judge(pair, item, "wrong") }, "Wrong"))));
      return item;
    }

    async function load() {
      const box = await get("/admin/v1/inbox", signal);
      const notes = [];
      if (!box.questions)
        notes.push(h("div", { class: "note warn" }, h("p", {}, h("strong", {}, "Questions are hidden."), " To judge pairs here, set ",
          h("code", {}, "explain.questions: show"), ". Until then, reports go by ", h("code", {}, "x-ibid-request"), " through the admin API.")));
      if (box.pairs.length > 0 && box.questions)
        notes.push(h("p", {}, h("label", { class: "tick" }, evict, "With a wrong pair, also remove the stored answer")));
      if (box.waiting > box.pairs.length)
        notes.push(h("p", { class: "soft small" }, `The ${count(box.pairs.length)} least certain of ${count(box.waiting)}.`));
      top.replaceChildren(...notes);
      list.replaceChildren(...box.pairs.map((p) => draw(p, !box.questions)));
      if (box.pairs.length === 0)
        top.append(h("div", { class: "card" }, box.kept
          ? empty("Nothing to judge.", box.reported_wrong + box.reported_right > 0
            ? `${count(box.reported_right)} pairs were called right, ${count(box.reported_wrong)} wrong.` : "Hits by meaning appear here as they are served.")
          : empty("No decision is kept.", "explain.bytes_max is 0; give it some memory to see hits here.")));
    }

    // Only when somebody asks: a pair must not move away under a click.
    return { live: false, refresh: load };
  },
};
