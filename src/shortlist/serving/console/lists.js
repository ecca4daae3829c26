// The view of lists: a person, the list, the sliders, the funnel and one stage of it.

import { get, post } from "./api.js";
import { calmly, duration, h, plural, put, say } from "./dom.js";
import { funnelPicture } from "./funnel.js";
import { openItem } from "./item.js";
import { fieldsOf, namesOf, stepsOf } from "./journey.js";
import { showList } from "./list.js";
import { peoplePanel } from "./people.js";
import { picker } from "./picker.js";
import { showStage } from "./stage.js";
import { ownTuning, postrankOf, tuningPanel } from "./tuning.js";

const WAIT = 120; // milliseconds without a move of a slider, before the server is asked

/** Builds the view for a funnel. stale(bundle) is called when another bundle answered. */
export function listsView(root, funnel, { stale }) {
  const state = {
    user: undefined, history: undefined, tuning: ownTuning(funnel), own: undefined, answer: undefined,
    steps: [], names: new Map(), stage: 0, turn: 0,
  };
  const look = (id) => openItem(id, { ...state, funnel });
  const people = peoplePanel({ choose: (user) => pick(user), open: look });
  const list = h("div", { class: "shown", "aria-live": "off" });
  const facts = h("p", { class: "note facts-line", role: "status" });
  const again = h("button", { type: "button", class: "quiet", onclick: () => pick(state.user) }, "Ask again");
  const picture = h("div");
  const panel = h("div", { class: "panel", id: "stage-panel", role: "tabpanel", tabindex: "0" });
  const items = picker({
    name: "item-search",
    label: "Find an item, and see how far it came",
    hint: "part of a title or an id",
    find: async (search) => {
      const found = await get("v1/items", { search, k: 12 });
      return found.items.map((id, place) => ({ id, title: found.titles[place] || String(id), note: String(id) }));
    },
    choose: ({ id }) => look(id),
  });
  root.replaceChildren(
    people.element,
    h("div", { class: "card listed" },
      h("div", { class: "head" }, h("h2", {}, "List"), again), facts,
      tuningPanel(funnel, tune), list),
    h("div", { class: "card way-through" }, h("h2", {}, "Funnel"), items.element, picture, panel),
  );

  /** Another user; null for somebody new. */
  async function pick(user) {
    state.user = user;
    if (!/^#(traffic|bundles)/.test(location.hash)) {
      history.replaceState(null, "", user === null ? "#lists/" : `#lists/${encodeURIComponent(user)}`);
    }
    people.show(user).then((past) => { if (state.user === user) state.history = past; });
    await refresh();
  }

  const soon = calmly(WAIT, () => refresh());

  function tune(tuning) {
    state.tuning = tuning;
    state.turn += 1; // what is on its way answers an older question
    root.setAttribute("aria-busy", "true");
    soon();
  }

  /** Asks for the bundle's own list, and for the one of the sliders where they differ from it. */
  async function refresh() {
    const turn = ++state.turn, postrank = postrankOf(funnel, state.tuning);
    root.setAttribute("aria-busy", "true");
    try {
      const started = performance.now();
      const [own, tuned] = await Promise.all([ask(), postrank && ask(postrank)]);
      if (turn !== state.turn) return;
      state.own = own;
      show(tuned ?? own, (performance.now() - started) / 1000);
      if (own.bundle !== funnel.bundle) stale(own.bundle);
    } catch (error) {
      if (turn === state.turn) say(error.message, true);
    } finally {
      if (turn === state.turn) root.removeAttribute("aria-busy");
    }
  }

  function ask(postrank) {
    const body = { k: state.tuning.k, fields: fieldsOf(funnel), explain: true, shown: false };
    if (state.user !== null) body.user = state.user;
    if (postrank) body.postrank = postrank;
    return post("v1/recommend", body);
  }

  function show(answer, seconds) {
    state.answer = answer;
    state.names = namesOf(funnel, answer);
    state.steps = stepsOf(answer);
    state.stage = Math.min(state.stage, Math.max(0, state.steps.length - 1));
    const cut = answer.cut ?? [];
    facts.textContent = [
      plural(answer.items.length, "item"),
      answer.experiment && `arm ${answer.arm} of the experiment ${answer.experiment}`,
      `answered in ${duration(seconds)}`,
      answer.fallback && "no stage had the time: the most popular items",
      cut.length > 0 && `left out for lack of time: ${cut.join(", ")}`,
    ].filter(Boolean).join(" · ");
    showList(list, {
      answer, own: state.own, names: state.names, ownNames: namesOf(funnel, state.own), funnel,
      finders: state.steps.at(-1)?.finders ?? [], open: look,
    });
    showFunnel();
  }

  function showFunnel() {
    if (!state.steps.length) {
      put(picture, h("p", { class: "notice" }, "This answer went through no stage."));
      panel.replaceChildren();
      return;
    }
    put(picture, funnelPicture(funnel, state.steps, { chosen: state.stage, panel: "stage-panel", choose }));
    panel.setAttribute("aria-labelledby", `stage-${state.stage}`);
    showStage(panel, state.steps[state.stage], { funnel, names: state.names, open: look });
  }

  function choose(stage) {
    state.stage = stage;
    showFunnel();
    document.getElementById(`stage-${stage}`).focus();
  }

  /** The user of before, or the one that the address names, or the first that the bundle knows. */
  async function start(before) {
    if (before !== undefined) return pick(before);
    const named = namedUser();
    if (named !== undefined) return pick(named);
    const first = await get("v1/users", { k: 1 }).catch(() => ({ users: [] }));
    return pick(first.users.length ? String(first.users[0]) : null);
  }

  /** Goes to the user that the address names. */
  function follow() {
    const named = namedUser();
    if (named !== undefined && named !== state.user) pick(named);
  }

  return { start, follow, user: () => state.user };
}

/** The user in the address; null for somebody new, undefined where none is named. */
export function namedUser() {
  const [view, user] = location.hash.slice(1).split("/");
  if (view !== "lists" || user === undefined) return undefined;
  try {
    return decodeURIComponent(user) || null;
  } catch {
    return undefined; // no address that this page wrote
  }
}
