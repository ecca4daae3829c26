// A box to type in, with what is found under it: the combobox of the ARIA practices.

import { calmly, h } from "./dom.js";

const WAIT = 150; // milliseconds without a key press, before the server is asked

/**
 * A combobox.
 *
 * label, hint: what is looked for; find(text): a promise of [{id, title, note}]; choose(found): what to do;
 * problem(error): text where the search is refused; free: whether an id that is not found can be chosen too.
 */
export function picker({ name, label, hint, find, choose, problem, free = false }) {
  const list = h("ul", { id: `${name}-list`, role: "listbox", "aria-label": label, hidden: true });
  const note = h("p", { class: "note", id: `${name}-note`, role: "status" });
  const input = h("input", {
    id: name, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder: hint,
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${name}-list`,
    "aria-describedby": `${name}-note`,
    oninput: type, onfocus: () => input.select(), onclick: () => list.hidden && look(), onkeydown: press,
    onblur: () => close(),
  });
  let options = [], active = -1, turn = 0, chosen = "";
  let stale = false, hurried = false; // whether what is listed is of an older text, and Enter was pressed since

  const look = calmly(WAIT, async () => {
    const wanted = input.value.trim(), mine = ++turn;
    let found = [];
    note.textContent = "";
    try {
      found = await find(wanted === chosen ? "" : wanted);
    } catch (error) {
      note.textContent = problem?.(error) ?? error.message;
    }
    if (mine !== turn || document.activeElement !== input) return;
    if (free && wanted && !found.some((each) => String(each.id) === wanted)) {
      found = [...found, { id: wanted, title: wanted, note: "as typed" }];
    }
    open(found);
  });

  function open(found) {
    options = found;
    stale = false;
    list.removeAttribute("aria-busy");
    list.replaceChildren(...found.map(option));
    list.hidden = found.length === 0;
    if (!found.length && !note.textContent) note.textContent = "Nothing is found.";
    input.setAttribute("aria-expanded", String(!list.hidden));
    move(found.length ? 0 : -1);
    if (hurried) take(0);
  }

  /** What is listed is not what the text asks for any more, so none of it can be taken. */
  function type() {
    turn += 1; // nor what is on its way
    stale = true;
    list.setAttribute("aria-busy", "true");
    move(-1);
    look();
  }

  function option(each, number) {
    return h(
      "li",
      {
        id: `${name}-${number}`, role: "option", "aria-selected": "false",
        // Before the box loses the focus, which would close the list.
        onmousedown: (event) => { event.preventDefault(); take(number); },
        onmousemove: () => move(number),
      },
      h("span", {}, each.title), each.note && h("small", {}, each.note),
    );
  }

  function move(to) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = to;
    const there = list.children[active];
    there?.setAttribute("aria-selected", "true");
    there?.scrollIntoView({ block: "nearest" });
    if (there) input.setAttribute("aria-activedescendant", there.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function close() {
    turn += 1;
    stale = hurried = false;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function take(number) {
    const each = options[number];
    close();
    if (each) choose(each);
  }

  function press(event) {
    const last = options.length - 1;
    const moves = { ArrowDown: active < last ? active + 1 : 0, ArrowUp: active > 0 ? active - 1 : last };
    if (event.key in moves) {
      event.preventDefault();
      if (list.hidden) look();
      else if (!stale) move(moves[event.key]);
    } else if (event.key === "Enter" && stale) {
      event.preventDefault();
      hurried = true; // the best is taken as soon as it is known
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      take(active);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  }

  const element = h(
    "div", { class: "picker" }, h("label", { for: name }, label), h("div", { class: "box" }, input, list), note,
  );
  return { element, input, set: (value) => { chosen = value; input.value = value; } };
}
