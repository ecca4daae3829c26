// Whose list it is: a box to find users, and what the chosen one did.

import { get, part } from "./api.js";
import { h, plural, put, when, whole } from "./dom.js";
import { picker } from "./picker.js";

const AT_ONCE = matchMedia("(max-width: 47.5rem)").matches ? 3 : 8; // events, until more are wanted
const EVENTS = 1000; // the server's bound

/** The panel of a person. choose(id) is called for another user; open(id) looks at an item. */
export function peoplePanel({ choose, open }) {
  const past = h("div", { class: "past" });
  let turn = 0;
  const users = picker({
    name: "user",
    label: "User",
    hint: "part of an id",
    free: true,
    find: async (search) => {
      const found = await get("v1/users", { search, k: 12 });
      return found.users.map((id, place) => ({ id, title: String(id), note: plural(found.events[place], "event") }));
    },
    problem: (error) => (error.status === 403 ? "This key may not look for users (scope inspect): type an id." : error.message),
    choose: ({ id }) => choose(String(id)),
  });
  const nobody = h("button", { type: "button", class: "quiet", onclick: () => choose(null) }, "Somebody new");
  const element = h("div", { class: "card people" }, h("h2", {}, "Person"), users.element, nobody, past);
  return { element, show: (user) => show(user) };

  async function show(user) {
    const mine = ++turn;
    users.set(user ?? "");
    nobody.setAttribute("aria-pressed", String(user === null));
    if (user === null) {
      put(past, h("p", { class: "note" }, "Nothing is known: the list is that for everybody."));
      return { seen: new Set() };
    }
    try {
      const history = await get(`v1/users/${part(user)}/history`, { k: EVENTS });
      if (mine === turn) showPast(history);
      return { seen: new Set([...history.items, ...history.also_seen].map(String)) };
    } catch (error) {
      const refused = error.status === 403 ? "This key may not see histories (scope inspect)." : error.message;
      if (mine === turn) put(past, h("p", { class: "note" }, refused));
      return { seen: new Set() };
    }
  }

  function showPast(history) {
    const events = history.items
      .map((id, place) => ({ id, title: history.titles[place], time: history.times[place], live: history.live[place] }))
      .reverse();
    const list = h("ol", { class: "events", tabindex: "-1" });
    const more = h("button", { type: "button", class: "quiet", onclick: () => fill(events.length) });
    const fill = (count) => {
      list.replaceChildren(...events.slice(0, count).map(event));
      more.hidden = events.length <= count;
      more.textContent = `Show all ${whole(events.length)}`;
      if (count > AT_ONCE) list.focus();
    };
    fill(AT_ONCE);
    put(past,
      h("h3", {}, "History"),
      h("p", { class: "note" }, history.events
        ? `${plural(history.events, "event")}, the latest first`
        : history.known ? "No event is kept." : "Nobody of this name is known: the list is that for somebody new."),
      list, more);
  }

  function event({ id, title, time, live }) {
    return h("li", {},
      h("button", { type: "button", class: "link", onclick: () => open(id) }, title || String(id)),
      h("small", {}, when(time), live && h("span", { class: "live" }, "since training")));
  }
}
