// One item: what is known of it, how far it came in the funnel for this user, and what is near to it.

import { get, part } from "./api.js";
import { h, plural, put, score, shown } from "./dom.js";
import { rowOf, whyAbsent } from "./journey.js";

const NEIGHBOURS = 6;
const LONG = 300; // characters of a column's text

const dialog = document.getElementById("item");
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

/** Opens the drawer of an item. steps, names, history and user are those of the list that is looked at. */
export async function openItem(id, { funnel, steps, names, user, history }) {
  const title = h("h2", { id: "item-title", tabindex: "-1" }, "…");
  const body = h("div", { class: "body" }, h("p", { class: "note" }, "Asking…"));
  dialog.replaceChildren(
    h("header", {}, title, h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    body,
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  title.focus();
  try {
    const item = await get(`v1/items/${part(id)}`);
    title.textContent = item.title || String(item.id);
    put(body,
      h("p", { class: "note" }, h("code", {}, String(item.id)), ` · ${plural(item.events, "event")} in the bundle`),
      steps.length > 0 && h("h3", {}, user === null ? "Its way for somebody new" : `Its way for ${user}`),
      steps.length > 0 && way(item, { funnel, steps, history }),
      h("h3", {}, "What is known of it"),
      columns(item, funnel),
      await neighbours(item.id, names, (other) => openItem(other, { funnel, steps, names, user, history })),
    );
  } catch (error) {
    title.textContent = String(id);
    body.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message));
  }
}

/** The stages that an item went through, and where it was dropped. */
function way(item, { funnel, steps, history }) {
  const id = String(item.id);
  if (!steps[0].place.has(id)) {
    return h("ol", { class: "way" }, stop("Retrieve", false, whyAbsent(funnel, item, history)));
  }
  const stops = [];
  for (const step of steps) {
    const row = rowOf(step, item.id);
    stops.push(stop(step.label, row.kept, row.why, scores(step, row)));
    if (!row.kept) break;
  }
  return h("ol", { class: "way" }, stops);
}

function scores(step, row) {
  const given = row.numbers.filter(([name]) => name.startsWith("score_"));
  if (step.before) return "";
  return given.map(([name, value]) => `${name.slice("score_".length)} ${score(value)}`).join(" · ");
}

function stop(label, kept, why, more = "") {
  return h("li", { class: kept ? "kept" : "dropped" },
    h("strong", {}, label), " ", h("span", { class: "fate" }, kept ? "kept" : "dropped"),
    h("small", {}, why), more && h("small", { class: "numbers" }, more));
}

function columns(item, funnel) {
  const entries = Object.entries(item.columns)
    .filter(([name]) => name !== funnel.title)
    .map(([name, value]) => [name, shown(value, funnel.columns[name])])
    .filter(([, text]) => text);
  if (!entries.length) return h("p", { class: "note" }, "Its id alone.");
  return h("dl", { class: "facts" }, entries.map(([name, text]) => [
    h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, text.length > LONG ? `${text.slice(0, LONG)}…` : text),
  ]));
}

async function neighbours(id, names, open) {
  let near;
  try {
    near = await get(`v1/similar/${part(id)}`, { k: NEIGHBOURS });
  } catch {
    return null; // the rest of the drawer stands without them
  }
  const titles = await Promise.all(near.items.map((other) => titleOf(other, names)));
  return [
    h("h3", {}, "Nearest items"),
    h("ul", { class: "near" }, near.items.map((other, place) => h("li", {},
      h("button", { type: "button", class: "link", onclick: () => open(other) }, titles[place]),
      h("small", {}, score(near.scores[place]))))),
  ];
}

/** What an item is called; only items that this list has not met are asked for. */
async function titleOf(id, names) {
  const known = names.get(String(id));
  if (known) return known.title;
  const item = await get(`v1/items/${part(id)}`).catch(() => undefined);
  return item?.title || String(id);
}
