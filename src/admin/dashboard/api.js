// The admin API. The token is kept for this tab alone, and sent in the header it always was sent in.

const KEY = "ibid-admin-token";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

async function reach(path, options) {
  try {
    return await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError(0, "ibid does not answer");
  }
}

function ask(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return reach(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
}

async function read(r) {
  const text = await r.text();
  if (r.ok) return text;
  let message = `HTTP ${r.status}`;
  try {
    message = JSON.parse(text).error.message;
  } catch { /* not ours: the status says enough */ }
  if (r.status === 401) dispatchEvent(new Event("ibid-locked"));
  throw new ApiError(r.status, message);
}

export const get = async (path, signal) => JSON.parse(await read(await ask("GET", path, undefined, signal)));
export const getText = async (path, signal) => read(await ask("GET", path, undefined, signal));
export const post = async (path, body) => JSON.parse(await read(await ask("POST", path, body)));
export const remove = async (path) => JSON.parse(await read(await ask("DELETE", path)));

/** Open to everybody; 503 while it drains is an answer, too. */
export async function ready(signal) {
  return (await reach("/readyz", { signal })).json();
}

/** ?a=b&c=d of those that are set. */
export function query(fields) {
  const set = Object.entries(fields).filter(([, v]) => v !== undefined && v !== null && v !== "");
  return set.length ? `?${set.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join("&")}` : "";
}
