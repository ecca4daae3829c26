// The list that a user would see, and how it differs from what the bundle alone would show.

import { h, plural, put } from "./dom.js";
import { colourOf } from "./journey.js";

const GLIDE = 260; // milliseconds in which an item moves to its new place

/** Shows an answer. own is the bundle's own answer to the same request; open(id) looks at an item. */
export function showList(place, { answer, own, names, ownNames, funnel, finders, open }) {
  const before = placesOnScreen(place);
  const places = new Map(own.items.map((id, number) => [String(id), number]));
  const changed = answer !== own;
  const now = new Set(answer.items.map(String));
  const left = changed ? own.items.slice(0, answer.items.length).filter((id) => !now.has(String(id))) : [];
  put(place,
    answer.items.length
      ? h("ol", { class: "list" }, answer.items.map((id, number) => entry(id, number)))
      : h("p", { class: "notice" }, "No item is left: rules or conditions allow none."),
    changed && h("p", { class: "note" }, difference(left)),
  );
  glide(place, before);

  function entry(id, number) {
    const { title, about } = names.get(String(id)) ?? { title: String(id), about: "" };
    return h("li", { "data-id": id, class: finders.length ? colourOf(finders[number], funnel) : "" },
      h("span", { class: "rank", "aria-hidden": "true" }, number + 1),
      h("div", { class: "what" },
        h("button", { type: "button", class: "link", onclick: () => open(id) }, title),
        about && h("small", {}, about),
        answer.why && h("small", { class: "why" }, answer.why[number])),
      changed && move(places.get(String(id)), number));
  }

  function difference(items) {
    if (!items.length) return "The same items as in the bundle's own list.";
    const titles = items.slice(0, 3).map((id) => ownNames.get(String(id))?.title ?? String(id));
    const rest = items.length - titles.length;
    return `Left the list: ${titles.join(", ")}${rest > 0 ? ` and ${plural(rest, "more", "more")}` : ""}.`;
  }
}

function move(before, now) {
  if (before === undefined) return h("span", { class: "move new" }, "new");
  const by = before - now;
  if (by === 0) return h("span", { class: "move" }, h("span", { class: "hidden" }, "same place"));
  const text = by > 0 ? `up ${by}` : `down ${-by}`;
  return h("span", { class: `move ${by > 0 ? "up" : "down"}` },
    h("span", { "aria-hidden": "true" }, `${by > 0 ? "▲" : "▼"} ${Math.abs(by)}`), h("span", { class: "hidden" }, text));
}

function placesOnScreen(place) {
  return new Map([...place.querySelectorAll("li")].map((each) => [each.dataset.id, each.offsetTop]));
}

/** Lets items that stayed move to where they are now; those that came, appear. */
function glide(place, before) {
  if (!before.size || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const each of place.querySelectorAll("li")) {
    const from = before.get(each.dataset.id);
    const frames = from === undefined
      ? [{ opacity: 0 }, { opacity: 1 }]
      : [{ transform: `translateY(${from - each.offsetTop}px)` }, { transform: "none" }];
    if (from !== each.offsetTop) each.animate(frames, { duration: GLIDE, easing: "ease-out" });
  }
}
