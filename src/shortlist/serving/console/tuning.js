// The sliders: the bundle's post-rankers with other strengths, as a request takes them.

import { h, percent } from "./dom.js";

const RULES = ["Exclude", "Cap"]; // which stay, whatever a request says
const REORDERING = ["Diversity", "Explore"]; // behind those that rescore
const HALF_LIVES = { "1d": "a day", "7d": "a week", "30d": "30 days", "90d": "90 days", "365d": "a year" };

/** What the sliders stand at for a bundle that nobody has changed. */
export function ownTuning(funnel) {
  const of = (kind) => funnel.postrank.find((each) => each.kind === kind);
  return {
    diversity: of("Diversity")?.strength ?? 0,
    freshness: of("Freshness")?.strength ?? 0,
    halfLife: of("Freshness")?.half_life ?? "30d",
    k: funnel.size,
  };
}

/** The post-rankers to ask for; undefined for the bundle's own. */
export function postrankOf(funnel, tuning) {
  const own = ownTuning(funnel);
  const same = ["diversity", "freshness", "halfLife"].every((name) => tuning[name] === own[name]);
  if (same || (tuning.diversity === own.diversity && tuning.freshness === 0 && own.freshness === 0)) return undefined;
  const stages = funnel.postrank.filter((each) => !RULES.includes(each.kind)).map((each) => ({ ...each }));
  const fresh = stages.find((each) => each.kind === "Freshness");
  if (fresh) Object.assign(fresh, { strength: tuning.freshness, half_life: tuning.halfLife });
  else if (tuning.freshness > 0) {
    const at = stages.findIndex((each) => REORDERING.includes(each.kind));
    stages.splice(at < 0 ? stages.length : at, 0, {
      kind: "Freshness", strength: tuning.freshness, half_life: tuning.halfLife,
    });
  }
  const diverse = stages.find((each) => each.kind === "Diversity");
  if (diverse) diverse.strength = tuning.diversity;
  else if (tuning.diversity > 0) {
    const at = stages.findIndex((each) => each.kind === "Explore");
    stages.splice(at < 0 ? stages.length : at, 0, { kind: "Diversity", strength: tuning.diversity, ...comparedBy(funnel) });
  }
  return stages;
}

/** What Diversity can compare items by; undefined where there is nothing. */
function comparedBy(funnel) {
  if (funnel.vectors) return {};
  const column = Object.entries(funnel.columns).find(([, kind]) => kind === "tags");
  return column && { by: column[0] };
}

function can(funnel) {
  const has = (kind) => funnel.postrank.some((each) => each.kind === kind);
  return {
    diversity: has("Diversity") || Boolean(comparedBy(funnel)),
    freshness: has("Freshness") || "first_seen" in funnel.columns,
  };
}

/** The sliders. change(tuning) is called at each move. */
export function tuningPanel(funnel, change) {
  const own = ownTuning(funnel), possible = can(funnel);
  const now = { ...own };
  const inputs = {};
  const reset = h("button", { type: "button", class: "quiet", disabled: true, onclick: restore }, "Reset");

  function slider(name, label, hint) {
    const output = h("output", { for: `tune-${name}` }, percent(now[name]));
    const input = h("input", {
      id: `tune-${name}`, type: "range", min: 0, max: 1, step: 0.05, value: now[name],
      disabled: !possible[name], "aria-describedby": `tune-${name}-hint`,
      oninput: () => { now[name] = Number(input.value); tell(); },
    });
    inputs[name] = () => {
      input.value = now[name];
      input.setAttribute("aria-valuetext", percent(now[name]));
      output.value = percent(now[name]);
    };
    const why = possible[name] ? hint[0] : hint[1];
    return h("div", { class: "slider" },
      h("label", { for: `tune-${name}` }, label), output, input, h("p", { class: "hint", id: `tune-${name}-hint` }, why));
  }

  function choice(name, label, options) {
    const input = h("select", { id: `tune-${name}`, onchange: () => { now[name] = parse(input.value); tell(); } },
      options.map(([value, text]) => h("option", { value }, text)));
    const parse = (value) => (name === "k" ? Number(value) : value);
    inputs[name] = () => { input.value = String(now[name]); };
    return h("div", { class: "choice" }, h("label", { for: `tune-${name}` }, label), input);
  }

  function show() {
    for (const update of Object.values(inputs)) update();
    reset.disabled = Object.keys(own).every((name) => own[name] === now[name]);
  }

  function tell() {
    show();
    change({ ...now });
  }

  function restore() {
    Object.assign(now, own);
    tell();
  }

  const lives = { ...HALF_LIVES, [own.halfLife]: HALF_LIVES[own.halfLife] ?? own.halfLife };
  const sizes = [...new Set([own.k, 6, 12, 24, 48])].sort((a, b) => a - b);
  const panel = h("fieldset", { class: "tuning" },
    h("legend", {}, "What if"),
    slider("diversity", "Diversity", ["Unlike items move up.", "This bundle has nothing to compare items by."]),
    slider("freshness", "Freshness", ["Newer items move up.", "This catalogue has no dates."]),
    h("div", { class: "choices" },
      choice("halfLife", "Half-life", Object.entries(lives)),
      choice("k", "Length", sizes.map((size) => [size, String(size)])),
      reset));
  show();
  return panel;
}
