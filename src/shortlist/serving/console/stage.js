// What one stage did: a row for each item that came into it, with its place, its numbers and the reason.

import { h, plural, score, whole } from "./dom.js";
import { aboutOf, colourOf, headingOf, rowsOf } from "./journey.js";

const AT_ONCE = 20; // rows, until more are wanted
const FILTERS = { all: "All", kept: "Kept", dropped: "Dropped", moved: "Moved" };

/** Shows a step in a panel. open(id) is called for an item that is to be looked at. */
export function showStage(panel, step, { funnel, names, open }) {
  const rows = rowsOf(step);
  const chosen = {
    all: rows,
    kept: rows.filter((row) => row.kept),
    dropped: rows.filter((row) => !row.kept),
    moved: rows.filter((row) => row.moved !== 0),
  };
  const columns = Object.keys(step.features).map((name) => [name, headingOf(name)]).filter(([, head]) => head);
  const body = h("tbody"), more = h("button", { type: "button", class: "quiet more" });
  let filter = "all", shown = AT_ONCE;

  const buttons = Object.entries(FILTERS).map(([name, label]) =>
    h("button", {
      type: "button", "aria-pressed": String(name === filter), disabled: chosen[name].length === 0,
      onclick: () => { filter = name; shown = AT_ONCE; fill(); },
    }, label, h("small", {}, ` ${whole(chosen[name].length)}`)));

  more.addEventListener("click", () => {
    const first = shown;
    shown += 5 * AT_ONCE;
    fill();
    body.children[first]?.querySelector("button")?.focus();
  });

  function fill() {
    buttons.forEach((button, number) =>
      button.setAttribute("aria-pressed", String(Object.keys(FILTERS)[number] === filter)));
    body.replaceChildren(...chosen[filter].slice(0, shown).map((row) => line(row, { columns, names, funnel, open })));
    const left = chosen[filter].length - shown;
    more.hidden = left <= 0;
    more.textContent = left > 0 ? `Show more of the other ${plural(left, "item")}` : "";
  }

  panel.replaceChildren(
    h("h3", {}, step.label),
    h("p", { class: "about" }, aboutOf(step, funnel)),
    h("div", { class: "filters", role: "group", "aria-label": "Which items" }, buttons),
    h("table", { class: "rows" },
      h("caption", { class: "hidden" }, `Items at the stage ${step.label}`),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col", class: "place" }, "Place"),
        h("th", { scope: "col" }, "Item and why"),
        columns.map(([, head]) => h("th", { scope: "col", class: "number wide" }, head)),
        h("th", { scope: "col", class: "number" }, "Score"))),
      body),
    more);
  fill();
}

function line(row, { columns, names, funnel, open }) {
  const { title } = names.get(String(row.id)) ?? { title: String(row.id) };
  const numbers = new Map(row.numbers);
  return h("tr", { class: `${row.kept ? "kept" : "dropped"} ${colourOf(row.finders, funnel)}` },
    h("td", { class: "place" }, row.kept ? row.after + 1 : h("span", { title: "dropped" }, "✕")),
    h("td", {},
      h("button", { type: "button", class: "link", onclick: () => open(row.id) }, title),
      h("small", {}, row.why)),
    columns.map(([name]) => h("td", { class: "number wide" }, row.kept ? score(numbers.get(name)) : "")),
    h("td", { class: "number" }, score(row.score)));
}
