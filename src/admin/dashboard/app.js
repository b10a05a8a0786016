// Which page is shown, how often it asks anew, and what stands around it.
import { ApiError, get, ready, token } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { page as overview } from "./page_overview.js";
import { page as latency } from "./page_latency.js";
import { page as similarity } from "./page_similarity.js";
import { page as inbox } from "./page_inbox.js";
import { page as partitions } from "./page_partitions.js";
import { page as entries } from "./page_entries.js";
import { page as purge } from "./page_purge.js";
import { page as routes } from "./page_routes.js";
import { page as engine } from "./page_engine.js";
import { page as configuration } from "./page_configuration.js";

const pages = [overview, latency, similarity, inbox, partitions, entries, purge, routes, engine, configuration];
const main = document.getElementById("main");
const nav = document.getElementById("nav");
const menu = document.getElementById("menu");
const health = document.getElementById("health");
const REFRESH_MS = 5000;

let shown = null; // {page, view, troubles, controller, timer, filled}

/** "#/entries?tenant=…" */
function where() {
  const [path, search] = location.hash.replace(/^#\//, "").split("?");
  const page = location.hash.startsWith("#/") ? pages.find((p) => p.id === path) : null;
  return { page: page ?? (shown?.page ?? overview), fields: new URLSearchParams(search ?? "") };
}

function drawNav(current, waiting) {
  nav.replaceChildren(h("ul", {}, pages.map((p) => h("li", {}, h("a", {
    href: `#/${p.id}`, "aria-current": p === current ? "page" : undefined,
  }, p.title, p === inbox && waiting > 0
    ? h("span", { class: "badge" }, count(waiting), h("span", { class: "unseen" }, " to be judged")) : null)))));
}

function leave() {
  if (!shown) return;
  clearTimeout(shown.timer);
  shown.controller.abort();
  shown.view.close?.();
  shown = null;
}

function trouble(e) {
  const text = e instanceof ApiError ? e.message : `this page has a fault: ${e.message}`;
  if (!(e instanceof ApiError)) console.error(e);
  return h("div", { class: "note bad", role: "alert" }, h("p", {}, `${text[0].toUpperCase()}${text.slice(1)}.`));
}

/** A place above the page for what went wrong; empty while all is well. */
async function refresh(mine) {
  if (mine !== shown) return;
  try {
    if (!document.hidden) {
      await mine.view.refresh();
      mine.filled = true;
    }
    if (mine === shown) mine.troubles.replaceChildren();
  } catch (e) {
    if (e.name === "AbortError" || mine !== shown) return;
    if (e.status === 401) return;
    mine.troubles.replaceChildren(trouble(e));
  }
  if (mine === shown && mine.view.live !== false) mine.timer = setTimeout(refresh, REFRESH_MS, mine);
}

function show(moved) {
  leave();
  if (!token.get()) {
    gate();
    return;
  }
  const { page, fields } = where();
  const troubles = h("div", {});
  const heading = h("h1", { tabindex: "-1" }, page.title);
  const body = h("div", {});
  const controls = h("div", {});
  document.title = `${page.title} · ibid`;
  drawNav(page, pending);
  main.replaceChildren(h("div", { class: "head" }, h("div", {}, heading, h("p", { class: "lead" }, page.lead)), controls), troubles, body);
  shown = { page, troubles, controller: new AbortController() };
  shown.view = page.open({ body, controls, fields, signal: shown.controller.signal, changed: look });
  close();
  if (moved) heading.focus();
  refresh(shown);
}

/* --- the token ------------------------------------------------------------------------- */

function gate(message) {
  leave();
  nav.replaceChildren();
  menu.hidden = true;
  document.title = "ibid";
  const input = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-where" });
  const wrong = h("div", {}, message ? h("p", { class: "note bad", role: "alert" }, message) : null);
  main.replaceChildren(h("div", { class: "card gate" },
    h("h1", {}, "Admin token"),
    h("p", { class: "soft", id: "token-where" }, "It is in the file ", h("code", {}, "admin.token"), " of ibid's data_dir (or where ",
      h("code", {}, "admin.token_file"), " says). This tab keeps it until it is closed."),
    h("form", { async onsubmit(event) {
      event.preventDefault();
      token.set(input.value.trim());
      try {
        await get("/admin/v1/stats");
        show(true);
        look();
      } catch (e) {
        token.forget();
        gate(e.status === 401 ? "That is not the token." : `${e.message}.`);
      }
    } }, wrong, h("label", { class: "field" }, h("span", {}, "Token"), input),
    h("button", { class: "main", type: "submit" }, "Show the dashboard"))));
  input.focus();
}

addEventListener("ibid-locked", () => {
  if (!token.get()) return;
  token.forget();
  gate("The token is not accepted any more.");
});

/* --- around it --------------------------------------------------------------------------- */

let pending = 0;

/** How ibid is, and how much waits to be judged. */
async function look() {
  try {
    const r = await ready();
    const parts = Object.keys(r.parts);
    health.className = `health ${r.status === "ready" ? "" : r.status === "degraded" ? "degraded" : "down"}`;
    const text = r.status === "degraded" ? `degraded: ${parts.join(", ")}` : r.status;
    if (health.textContent !== text) health.replaceChildren(h("span", {}, text));
  } catch {
    health.className = "health down";
    if (health.textContent !== "does not answer") health.replaceChildren(h("span", {}, "does not answer"));
    return;
  }
  if (!token.get() || !shown) return;
  try {
    const box = await get("/admin/v1/inbox");
    if (box.waiting === pending) return;
    pending = box.waiting;
    // Not under somebody's fingers.
    if (shown && !nav.contains(document.activeElement)) drawNav(shown.page, pending);
  } catch { /* the page says so */ }
}

function close() {
  nav.classList.remove("open");
  menu.hidden = false;
  menu.setAttribute("aria-expanded", "false");
}

menu.addEventListener("click", () => {
  const open = nav.classList.toggle("open");
  menu.setAttribute("aria-expanded", String(open));
});
nav.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !nav.classList.contains("open")) return;
  close();
  menu.focus();
});
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#/")) show(true);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !shown || (shown.filled && shown.view.live === false)) return;
  clearTimeout(shown.timer);
  refresh(shown);
});

show(false);
look();
setInterval(look, 2 * REFRESH_MS);
