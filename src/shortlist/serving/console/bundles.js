// The view of bundles: which one answers, which one did before, which lie ready; and how to change it.

import { get, post } from "./api.js";
import { h, moment, put, say, score } from "./dom.js";

const dialog = document.getElementById("confirm");

/** Builds the view. changed() is called when another bundle answers. */
export function bundlesView(root, { changed }) {
  const now = h("div", { class: "card now" }), ready = h("ul", { class: "bundles" });
  const problem = h("p", { class: "problem", role: "alert" });
  root.replaceChildren(
    h("div", { class: "head" }, h("h2", {}, "Bundles")), problem, now, h("h3", {}, "In the folder"), ready);

  async function show() {
    try {
      const found = await get("v1/bundles");
      problem.textContent = "";
      showNow(found);
      put(ready, found.available.map((each) => card(each, found)));
      if (!found.available.length) put(ready, h("li", { class: "note" }, "No bundle lies in the server's folder."));
    } catch (error) {
      problem.textContent = error.message;
      now.replaceChildren();
      ready.replaceChildren();
    }
  }

  function showNow({ current, path, previous }) {
    put(now,
      h("dl", { class: "facts" },
        h("dt", {}, "Answers now"), h("dd", {}, h("code", {}, current), h("small", {}, path)),
        h("dt", {}, "Before"), h("dd", {}, previous ? h("code", {}, previous) : "none since the server started")),
      previous && h("button", {
        type: "button", class: "main", id: "roll-back",
        onclick: () => change({ rollback: true }, `Roll back to ${previous}?`, "Roll back"),
      }, "Roll back"));
  }

  function card(bundle, { current, previous }) {
    const state = { [previous]: "before", [current]: "answers now" }[bundle.name];
    const metrics = Object.entries(bundle.metrics).slice(0, 6);
    return h("li", { class: "card" },
      h("h4", {}, bundle.path, state && h("span", { class: "badge" }, state)),
      h("p", { class: "note" }, h("code", {}, bundle.name), ` · written ${moment(bundle.written)}`),
      metrics.length > 0 && h("dl", { class: "metrics" }, metrics.map(([name, value]) =>
        h("div", {}, h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, score(value))))),
      bundle.name !== current && h("button", {
        type: "button",
        onclick: () => change({ path: bundle.path }, `Answer from ${bundle.path}?`, "Answer from it"),
      }, "Answer from this one"));
  }

  async function change(body, question, answer) {
    if (!(await sure(question, answer))) return;
    root.setAttribute("aria-busy", "true");
    try {
      const { current } = await post("v1/bundles", body);
      say(`Bundle ${current} answers now.`);
      changed();
    } catch (error) {
      say(error.message, true);
    } finally {
      root.removeAttribute("aria-busy");
      await show();
      root.querySelector("h2").focus();
    }
  }

  root.querySelector("h2").tabIndex = -1;
  return { start: show, stop: () => {} };
}

/** Asks before something that everybody will see. */
function sure(question, answer) {
  return new Promise((decide) => {
    const close = (value) => { dialog.close(); decide(value); };
    put(dialog,
      h("h2", { id: "confirm-title" }, question),
      h("p", {}, "It is verified and warmed first. Requests go on in the meantime, each answered by one bundle."),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "quiet", onclick: () => close(false) }, "Cancel"),
        h("button", { type: "button", class: "main", onclick: () => close(true) }, answer)));
    dialog.oncancel = () => decide(false);
    dialog.showModal();
  });
}
