// Elements, and what is said to eyes and screen readers.
const SVG = "http://www.w3.org/2000/svg";
/** An element: properties that start with "on" listen, the others are attributes. */
export function h(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (value === undefined || value === null || value === false)
            continue;
        if (typeof value === "function")
            node.addEventListener(name.slice(2), value);
        else
            node.setAttribute(name, value === true ? "" : String(value));
    }
    put(node, ...children);
    return node;
}
/** An element's new content. */
export function put(node, ...children) {
    node.replaceChildren(...children.flat().filter((each) => each !== null && each !== undefined && each !== false && each !== ""));
}
/** An element of the page, by its id. */
export const at = (id) => document.getElementById(id);
/** A drawing of lines in a square of 24. */
export function icon(path) {
    const drawing = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "path");
    drawing.setAttribute("viewBox", "0 0 24 24");
    drawing.setAttribute("aria-hidden", "true");
    line.setAttribute("d", path);
    drawing.append(line);
    return drawing;
}
let speaking = 0;
/** Says something to eyes and screen readers, for a while. */
export function say(text, isProblem = false) {
    put(at("said"), h("p", { class: isProblem ? "problem" : "" }, text));
    clearTimeout(speaking);
    speaking = setTimeout(() => put(at("said")), isProblem ? 12_000 : 5_000);
}
/** A value of an item's column as text. */
export function shown(value, kind) {
    if (value === null || value === undefined)
        return "";
    if (Array.isArray(value))
        return value.join(" · ");
    if (kind === "timestamp" && typeof value === "number")
        return DAY.format(new Date(value * 1000));
    return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
