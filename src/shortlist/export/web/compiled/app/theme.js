// Light or dark: as the system, or as chosen. early-theme.js applies a choice before the page is painted.
import { at } from "./dom.js";
const KEY = "shortlist-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => (root.dataset["theme"] ?? (system.matches ? "dark" : "light")) === "dark";
const show = () => at("theme").setAttribute("aria-pressed", String(isDark()));
/** Lets the button change the theme. */
export function followTheme() {
    at("theme").addEventListener("click", () => {
        const wanted = isDark() ? "light" : "dark";
        if (wanted === (system.matches ? "dark" : "light"))
            forgetTheme();
        else {
            root.dataset["theme"] = wanted;
            keep(wanted);
        }
        show();
    });
    system.addEventListener("change", show);
    show();
}
/** Goes back to the system's theme. */
export function forgetTheme() {
    delete root.dataset["theme"];
    keep(null);
    show();
}
function keep(theme) {
    try {
        if (theme === null)
            localStorage.removeItem(KEY);
        else
            localStorage.setItem(KEY, theme);
    }
    catch {
        // Where storage is forbidden, the choice ends with the page.
    }
}
