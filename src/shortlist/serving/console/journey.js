// An explained answer as steps: what came into each stage, what it let through, and why.

import { percent, plural, score, shown, whole } from "./dom.js";

const LABELS = { retrieve: "Retrieve", rank: "Rank", final: "List" };
const MADE_OF_TITLES = 3; // columns that tell of an item under its title
const ORDER = ["tags", "text", "number", "time", "flag"];
export const SEVERAL = "several";

/** The item columns that lists show, the title first. */
export function fieldsOf(funnel) {
  const others = Object.entries(funnel.columns)
    .filter(([name, kind]) => name !== funnel.title && ORDER.includes(kind))
    .sort(([, a], [, b]) => ORDER.indexOf(a) - ORDER.indexOf(b))
    .slice(0, MADE_OF_TITLES)
    .map(([name]) => name);
  return funnel.title ? [funnel.title, ...others] : others;
}

/** What items are called, and a line about each, by id. */
export function namesOf(funnel, answer) {
  const names = new Map();
  const learn = (items, columns = {}) => {
    items.forEach((id, place) => {
      const title = funnel.title && columns[funnel.title]?.[place];
      const about = Object.entries(columns)
        .filter(([name]) => name !== funnel.title)
        .map(([name, values]) => told(name, values[place], funnel.columns[name]))
        .filter(Boolean);
      names.set(String(id), { title: title || String(id), about: about.join(" · ") });
    });
  };
  learn(answer.items, answer.columns);
  if (answer.stages?.length) learn(answer.stages[0].items, answer.stages[0].columns);
  return names;
}

function told(name, value, kind) {
  const text = shown(value, kind);
  if (!text) return "";
  return kind === "number" || kind === "flag" ? `${name.replaceAll("_", " ")} ${text}` : text;
}

/** The steps of an answer, from retrieval to the list. */
export function stepsOf(answer) {
  const steps = (answer.stages ?? []).map((stage) => ({
    name: stage.name,
    label: labelOf(stage),
    items: stage.items,
    scores: stage.scores,
    finders: stage.found_by.map((each) => each.split(", ")),
    features: stage.features ?? {},
    settings: stage.settings ?? {},
    place: placesOf(stage.items),
  }));
  const last = steps.at(-1);
  if (!last) return [];
  const places = placesOf(answer.items);
  steps.push({
    name: "final",
    label: LABELS.final,
    items: answer.items,
    scores: answer.scores,
    finders: answer.items.map((id) => last.finders[last.place.get(String(id))] ?? []),
    features: {},
    settings: { size: answer.items.length },
    place: places,
  });
  steps.forEach((step, number) => Object.assign(step, { before: steps[number - 1], next: steps[number + 1] }));
  return steps;
}

const placesOf = (items) => new Map(items.map((id, place) => [String(id), place]));

function labelOf(stage) {
  return LABELS[stage.name] ?? stage.settings?.kind ?? stage.name[0].toUpperCase() + stage.name.slice(1);
}

/** The rows of a step: first what it let through, best first, then what it dropped. */
export function rowsOf(step) {
  const kept = step.items.map((id) => rowOf(step, id));
  const dropped = (step.before?.items ?? []).filter((id) => !step.place.has(String(id)));
  return [...kept, ...dropped.map((id) => rowOf(step, id))];
}

/** An item at a step: its places, its score, what the step says of it, and why it stays or goes. */
export function rowOf(step, id) {
  const after = step.place.get(String(id)), before = step.before?.place.get(String(id));
  const kept = after !== undefined;
  const row = {
    id, after, before, kept,
    score: kept ? step.scores[after] : step.before.scores[before],
    finders: kept ? step.finders[after] : step.before.finders[before],
    moved: kept && before !== undefined ? before - after : 0,
    numbers: kept
      ? Object.entries(step.features).map(([name, values]) => [name, values[after]])
      : [],
  };
  return { ...row, why: kept ? whyKept(step, row) : whyDropped(step, row) };
}

function whyKept(step, row) {
  const said = Object.fromEntries(row.numbers);
  if (!step.before) return `found by ${listed(row.finders)}`;
  switch (step.settings.kind ?? step.name) {
    case "rank":
      return `${ordinal(row.after + 1)} of ${whole(step.before.items.length)} by the ranker's score`;
    case "final":
      return `place ${row.after + 1}`;
    case "Diversity":
      return sentence(likeness(said.diversity_penalty, step.settings.method), moved(row));
    case "Freshness":
      return sentence(said.freshness !== undefined && `${percent(said.freshness)} fresh`, moved(row));
    case "Boost":
      return sentence(said.boost ? `lifted by ${score(said.boost)}` : "not lifted", moved(row));
    case "Cap":
      return said.cap_skipped ? `moved behind: ${capped(step)}` : sentence("within the cap", moved(row));
    case "Explore":
      return said.explored ? "drawn, to be tried out" : sentence(moved(row)) || "as before";
    default:
      return sentence(moved(row)) || "passes";
  }
}

function whyDropped(step, row) {
  switch (step.settings.kind ?? step.name) {
    case "rank":
      return `behind the best ${plural(step.settings.keep, "item")} by the ranker's score`;
    case "final":
      return `place ${row.before + 1}; the list has ${plural(step.items.length, "place")}`;
    case "Exclude":
      return `a rule drops it: ${ruled(step.settings)}`;
    case "Cap":
      return `dropped: ${capped(step)}`;
    default:
      return `dropped by ${step.label}`;
  }
}

function likeness(value, method) {
  if (value === undefined) return "";
  if (value < 0.005) return "unlike those above it";
  return method === "dpp" ? `${percent(value)} covered by those above it` : `${percent(value)} like one above it`;
}

function moved(row) {
  if (row.before === undefined || row.moved === 0) return "";
  return `${row.moved > 0 ? "up" : "down"} from ${row.before + 1} to ${row.after + 1}`;
}

const capped = (step) => `at most ${whole(step.settings.at_most)} of the same ${step.settings.column}`;

function ruled({ where, items = [], seen }) {
  return [
    where && where,
    items.length && `one of ${plural(items.length, "blocked id")}`,
    seen && "the user had it before",
  ].filter(Boolean).join(", or ");
}

/** Why no retriever brought an item. */
export function whyAbsent(funnel, item, history) {
  if (item.removed) return "it was removed from the catalogue";
  if (history?.seen.has(String(item.id))) return "the user had it before, so it is left out";
  const bounds = funnel.retrieve.map((each) => `${each.name} looks for ${whole(each.k)}`);
  return `no retriever has it among its best: ${listed(bounds)}`;
}

/** What a step does, in one line. */
export function aboutOf(step, funnel) {
  const { kind, ...settings } = step.settings;
  switch (kind ?? step.name) {
    case "retrieve":
      return `${listed(funnel.retrieve.map((each) => each.name))} ${funnel.retrieve.length > 1 ? "look" : "looks"} `
        + `through all ${plural(funnel.items, "item")}.`;
    case "rank":
      return `${funnel.rank?.model ?? "The ranker"} scores each, and lets the best ${whole(settings.keep)} through.`;
    case "final":
      return `The first ${plural(step.items.length, "item")} are the list.`;
    case "Diversity":
      return `Unlike items move up: strength ${settings.strength}, ${settings.method}`
        + `${settings.by ? ` by ${settings.by}` : ""}.`;
    case "Freshness":
      return `Older items lose up to ${Math.round(settings.strength * 100)} % of their score; `
        + `half of that within ${settings.half_life}.`;
    case "Cap":
      return `At most ${settings.at_most} of the same ${settings.column}; the others `
        + `${settings.fill ? "move behind" : "are dropped"}.`;
    case "Exclude":
      return `Drops what meets the rule: ${ruled(settings)}.`;
    default:
      return Object.entries(settings).map(([name, value]) => `${name.replaceAll("_", " ")}: ${shown(value)}`).join(", ");
  }
}

/** How a column of a step's numbers is headed; null for those that the reason tells. */
export function headingOf(name) {
  if (name.startsWith("score_")) return name === "score_ranker" ? null : name.slice("score_".length);
  return { diversity_penalty: "Likeness", freshness: "Freshness", boost: "Boost" }[name] ?? null;
}

/** Which colour an item has: that of its only retriever, or that of several. */
export function colourOf(finders, funnel) {
  if (finders.length !== 1) return SEVERAL;
  return `r${Math.max(0, funnel.retrieve.findIndex((each) => each.name === finders[0])) % 5}`;
}

export function listed(texts) {
  if (texts.length < 2) return texts.join("");
  return `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`;
}

const sentence = (...parts) => parts.filter(Boolean).join("; ");

function ordinal(number) {
  const tens = number % 100, ones = number % 10;
  const ending = tens > 10 && tens < 14 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[ones] ?? "th";
  return `${whole(number)}${ending}`;
}

