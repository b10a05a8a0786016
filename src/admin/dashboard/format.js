// Figures as people read them; the same everywhere.

const language = "en";
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

export const count = (n) => (Math.abs(n) < 100000 ? whole.format(n) : short.format(n));

/** Three digits that count. */
function three(n) {
  const a = Math.abs(n);
  const digits = a === 0 || a >= 100 ? 0 : a >= 10 ? 1 : 2;
  return new Intl.NumberFormat(language, { minimumFractionDigits: 0, maximumFractionDigits: digits }).format(n);
}

export const percent = (part, all) => (all > 0 ? `${three((100 * part) / all)} %` : "–");
export const share = (p) => `${three(100 * p)} %`;
export const ratio = (p) => p.toFixed(3);

export function usd(n) {
  const digits = Math.abs(n) >= 100 ? 0 : Math.abs(n) >= 1 || n === 0 ? 2 : 4;
  return `$${n.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** [value, unit] of the largest unit that leaves at least one. */
function scaled(n, units) {
  const a = Math.abs(n);
  let at = units[0];
  for (const u of units) if (a >= u[0]) at = u;
  return [three(n / at[0]), at[1]];
}

export const secondsParts = (s) => (s === 0 ? ["0", "s"] : scaled(s, [[1e-6, "µs"], [1e-3, "ms"], [1, "s"], [60, "min"], [3600, "h"], [86400, "days"]]));
export const seconds = (s) => (s > 0 ? secondsParts(s).join(" ") : "0 s");
export const bytes = (n) => (n >= 1024 ? scaled(n, [[1024, "KiB"], [1048576, "MiB"], [1073741824, "GiB"]]).join(" ") : `${n} B`);
/** Watt-hours, as joules. */
export const joulesParts = (wh) => scaled(wh * 3600, [[1, "J"], [1e3, "kJ"], [1e6, "MJ"], [1e9, "GJ"]]);

export function ago(ms, now = Date.now()) {
  const s = Math.round((now - ms) / 1000);
  if (s < 0) return `in ${span(-s)}`;
  return s < 5 ? "now" : `${span(s)} ago`;
}

function span(s) {
  if (s < 60) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 2 * 86400) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const moment = (ms) => new Date(ms).toLocaleString(language, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

export const nobody = (hex) => /^0*$/.test(hex);
export const brief = (hex) => hex.slice(0, 12);
