// The picture of the funnel: a bar for each stage, as wide as what it lets through.

import { h, svg, whole } from "./dom.js";
import { SEVERAL, colourOf } from "./journey.js";

const LEAST = 0.1; // width of an empty bar, as a share of the catalogue's

/** The picture; its bars are tabs. choose(number) is called when another stage is looked at. */
export function funnelPicture(funnel, steps, { chosen, panel, choose }) {
  const width = (count) => LEAST + (1 - LEAST) * (Math.log1p(count) / Math.log1p(funnel.items));
  const tabs = steps.map((step, number) => stageTab(funnel, step, number, chosen, width, panel, choose));
  const list = h("div", {
    class: "bars", role: "tablist", "aria-orientation": "vertical", "aria-label": "Stages of the funnel",
    onkeydown: (event) => walk(event, tabs, choose),
  }, tabs);
  const catalogue = h("div", { class: "stage catalogue" },
    h("span", { class: "name" }, "Catalogue"),
    h("span", { class: "picture" }, bar(width(funnel.items), [["all", 1]]), neck(width(funnel.items), width(steps[0].items.length))),
    h("span", { class: "count" }, whole(funnel.items)));
  return h("div", { class: "funnel" }, catalogue, list, legend(funnel, steps));
}

function stageTab(funnel, step, number, chosen, width, panel, choose) {
  const next = step.next?.items.length;
  const gone = step.before ? step.before.items.length - step.items.length : 0;
  const shares = sharesOf(funnel, step);
  return h("button", {
    type: "button", role: "tab", id: `stage-${number}`, class: "stage", "aria-controls": panel,
    "aria-selected": String(number === chosen), tabindex: number === chosen ? "0" : "-1", onclick: () => choose(number),
  },
    h("span", { class: "name" }, step.label),
    h("span", { class: "picture" },
      bar(width(step.items.length), shares),
      next !== undefined && neck(width(step.items.length), width(next))),
    h("span", { class: "count" }, whole(step.items.length), spoken(" items"),
      gone > 0 && h("small", {}, `−${whole(gone)}`, spoken(" dropped"))));
}

const spoken = (text) => h("span", { class: "hidden" }, text);

/** How many of a step's items each retriever found alone, or several together. */
function sharesOf(funnel, step) {
  const counts = new Map();
  for (const finders of step.finders) {
    const colour = colourOf(finders, funnel);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
}

function bar(width, shares) {
  const parts = shares.map(([colour, count]) => {
    const part = h("span", { class: `part ${colour}` });
    part.style.flexGrow = count;
    return part;
  });
  const whole = h("span", { class: "bar" }, parts);
  whole.style.width = `${100 * width}%`;
  return whole;
}

/** What joins a bar to the next. */
function neck(above, below) {
  const [a, b] = [above, below].map((width) => 50 - 50 * width);
  return svg("svg", { class: "neck", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { points: `${a},0 ${100 - a},0 ${100 - b},10 ${b},10` }));
}

function legend(funnel, steps) {
  const shown = new Set(steps.flatMap((step) => sharesOf(funnel, step).map(([colour]) => colour)));
  const entries = funnel.retrieve
    .map((each) => [colourOf([each.name], funnel), `${each.name} alone`])
    .concat([[SEVERAL, "several retrievers"]])
    .filter(([colour]) => shown.has(colour));
  return h("p", { class: "legend" },
    entries.map(([colour, name]) => h("span", {}, h("i", { class: colour, "aria-hidden": "true" }), name)),
    h("span", { class: "note" }, "Widths are logarithms of the numbers."));
}

function walk(event, tabs, choose) {
  const now = tabs.indexOf(document.activeElement), last = tabs.length - 1;
  const to = { ArrowDown: Math.min(now + 1, last), ArrowUp: Math.max(now - 1, 0), Home: 0, End: last }[event.key];
  if (now < 0 || to === undefined) return;
  event.preventDefault();
  choose(to);
}
