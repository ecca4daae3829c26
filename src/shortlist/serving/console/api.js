// The server's API, with the key of this tab.

const KEY = "shortlist-key";
const SLOW = 30_000; // milliseconds

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** What the server refused: a status, what was wrong, and what to do. */
export class Refused extends Error {
  constructor(status, problem) {
    super([problem.what, problem.remedy].filter(Boolean).join("; "));
    this.status = status;
  }
}

export const get = (path, query = {}) => ask("GET", path, { query });
export const post = (path, body) => ask("POST", path, { body });
export const text = (path) => ask("GET", path, { plain: true });

/** A part of a path. */
export const part = (id) => encodeURIComponent(String(id));

async function ask(method, path, { query = {}, body, plain = false }) {
  // Relative to the page, so that the console works behind a proxy's prefix too.
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const headers = {};
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(SLOW),
      credentials: "omit",
    });
  } catch {
    throw new Refused(0, { what: "the server cannot be reached", remedy: "is it running?" });
  }
  if (answer.ok) return plain ? answer.text() : answer.json();
  if (answer.status === 401) dispatchEvent(new Event("key-needed"));
  const failure = await answer.json().catch(() => null);
  throw new Refused(answer.status, failure?.error ?? { what: `the server answered ${answer.status}` });
}
