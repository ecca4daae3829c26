// The console: which view is looked at, the theme, and the key.

import { get, key } from "./api.js";
import { bundlesView } from "./bundles.js";
import { h, put } from "./dom.js";
import { listsView, namedUser } from "./lists.js";
import { trafficView } from "./traffic.js";

const VIEWS = { lists: "Lists", traffic: "Traffic", bundles: "Bundles" };
const THEME = "shortlist-theme";
const at = (id) => document.getElementById(id);

const others = {
  traffic: trafficView(at("traffic")),
  bundles: bundlesView(at("bundles"), { changed: () => begin() }),
};
let lists, missed;

/** Reads which funnel answers the user that is looked at, and shows its lists. */
async function begin() {
  const user = lists ? lists.user() : namedUser();
  try {
    const funnel = await get("v1/funnel", user ? { user } : {});
    at("bundle").textContent = funnel.bundle;
    at("forget").hidden = !key.get();
    // Bundles change, and in an experiment users have different ones; the same one is not read twice in a row.
    const stale = (bundle) => { if (bundle !== missed) { missed = bundle; begin(); } };
    if (funnel.bundle === missed) missed = undefined;
    const focused = document.activeElement.id; // which the new view has too
    lists = listsView(at("lists"), funnel, { stale });
    at(focused)?.focus();
    await lists.start(user);
    return true;
  } catch (error) {
    if (error.status === 401) return false; // then a key is asked for
    put(at("lists"), h("p", { class: "problem card", role: "alert" }, error.message));
    return true; // the other views may have what this one lacks
  }
}

/** The server takes no answer without a key, or this one is no longer valid. */
function askForKey() {
  const dialog = at("key"), input = at("key-input");
  at("key-problem").textContent = key.get() ? "This key is not valid, or not any more." : "";
  dialog.oncancel = (event) => event.preventDefault(); // nothing can be seen without one
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    key.set(input.value.trim());
    input.value = "";
    dialog.close();
    if (await begin()) follow();
  };
  if (!dialog.open) dialog.showModal();
  input.focus();
}

/** Shows the view that the address names. */
function follow() {
  const [named] = location.hash.slice(1).split("/");
  const view = Object.hasOwn(VIEWS, named) ? named : "lists";
  for (const name of Object.keys(VIEWS)) {
    const link = document.querySelector(`nav a[href="#${name}"]`);
    at(name).hidden = name !== view;
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (name !== view) others[name]?.stop();
  }
  document.title = `${VIEWS[view]} · shortlist`;
  others[view]?.start();
  if (view === "lists") lists?.follow();
}

function showTheme() {
  const dark = isDark();
  at("theme").setAttribute("aria-pressed", String(dark));
}

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

at("theme").addEventListener("click", () => {
  const wanted = isDark() ? "light" : "dark";
  const asTheSystem = wanted === (system.matches ? "dark" : "light");
  if (asTheSystem) {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(THEME);
  } else {
    document.documentElement.dataset.theme = wanted;
    localStorage.setItem(THEME, wanted);
  }
  showTheme();
});
system.addEventListener("change", showTheme);
at("forget").addEventListener("click", () => { key.forget(); location.reload(); });
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); at("main").focus(); });
addEventListener("hashchange", follow);
addEventListener("key-needed", askForKey);

showTheme();
if (await begin()) follow();
