// Elements, and numbers and times as people read them.

const SVG = "http://www.w3.org/2000/svg";

/** An element: properties that start with "on" listen, the others are attributes. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** As `h`, for drawings. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

/** An element's new content. */
export const put = (node, ...children) => node.replaceChildren(...present(children));

const present = (children) =>
  children.flat(Infinity).filter((each) => each !== undefined && each !== null && each !== false && each !== "");

/** Calls a function once, when nothing more has happened for some milliseconds. */
export function calmly(milliseconds, act) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}

/** Says something to eyes and screen readers, for a while. */
export function say(text, isProblem = false) {
  const place = document.getElementById("said");
  place.replaceChildren(h("p", { class: isProblem ? "problem" : "" }, text));
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.replaceChildren(), isProblem ? 12_000 : 6_000);
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const whole = (value) => WHOLE.format(value);
export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;
export const day = (seconds) => DAY.format(new Date(seconds * 1000));
/** A day, or nothing where it is unknown. */
export const when = (seconds) => (seconds ? day(seconds) : "");
export const moment = (seconds) => MOMENT.format(new Date(seconds * 1000));

/** A score: three digits that matter, and no more zeros than that. */
export function score(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if ((size < 0.0005 || size >= 1e6)) return value.toExponential(1).replace("-", "−");
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).replace("-", "−");
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/** Seconds as a duration. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds === 0) return "0";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${seconds.toFixed(1)} s`;
}

/** A date or a time of ISO 8601; whatever else stands in such a column stays as it is. */
function dated(text) {
  const seconds = Date.parse(text) / 1000;
  return Number.isFinite(seconds) ? day(seconds) : String(text);
}

/** A value of an item's column as text. */
export function shown(value, kind) {
  if (value === null || value === undefined) return "";
  if (kind === "time") return typeof value === "number" ? day(value) : dated(value);
  if (Array.isArray(value)) {
    const few = value.slice(0, 8).map((each) => (typeof each === "number" ? score(each) : String(each)));
    return few.join(", ") + (value.length > few.length ? `, … (${value.length})` : "");
  }
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : score(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
