// Elements from code. What came from a server becomes text, never markup.

export function h(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

/** Says it to those who listen. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** One figure of a row of cards. */
export function figure(name, value, unit, under) {
  return h("div", { class: "card" }, h("dl", { class: "figure" },
    h("dt", {}, name),
    h("dd", { class: "value" }, value, unit ? h("span", { class: "unit" }, unit) : null),
    under ? h("dd", { class: "under" }, under) : null));
}

export function empty(...lines) {
  return h("div", { class: "empty" }, lines.map((l) => h("p", {}, l)));
}

/**
 * A table that becomes a list of cards where it is narrow. Columns: {name, num, wide, do, cell(row)}; the first
 * one heads its row.
 */
export function table(caption, columns, rows) {
  const head = h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.num ? "num" : undefined },
    c.do ? h("span", { class: "unseen" }, c.name) : c.name)));
  const body = rows.map((row) => h("tr", {}, columns.map((c, i) => {
    const kind = [c.num && "num", c.wide && "wide", c.do && "do"].filter(Boolean).join(" ");
    const cell = c.cell(row);
    return i === 0
      ? h("th", { scope: "row", class: kind || undefined }, cell)
      : h("td", { class: kind || undefined, "data-label": c.name }, cell);
  })));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "stack" },
      h("caption", { class: "unseen" }, caption), h("thead", {}, head), h("tbody", {}, body)));
}

/** Buttons of which one is pressed. */
export function choice(label, options, chosen, onchange) {
  const buttons = options.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === chosen), onclick() {
      for (const b of buttons) b.setAttribute("aria-pressed", String(b === this));
      onchange(value);
    },
  }, text));
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A button that asks once more before it does what can not be undone. */
export function twice(text, sure, run) {
  const b = h("button", { type: "button", class: "bad quiet", onclick() {
    if (b.dataset.sure) {
      b.disabled = true;
      run();
      return;
    }
    b.dataset.sure = "1";
    b.textContent = sure;
    say(sure);
  }, onblur() {
    if (b.disabled) return;
    delete b.dataset.sure;
    b.textContent = text;
  } }, text);
  return b;
}
