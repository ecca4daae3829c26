// One item: what is known of it, what resembles it, and what the person thinks of it.
import { at, h, icon, put, shown } from "./dom.js";
const NEAR = 8;
const UP = "M7 21V10l5-7c1.6 0 2.4 1.2 2 2.8L13.3 9H19a2 2 0 0 1 2 2.4l-1.4 7.2A3 3 0 0 1 16.6 21H7zM7 10H3v11h4";
const DOWN = "M17 3v11l-5 7c-1.6 0-2.4-1.2-2-2.8l.7-3.2H5a2 2 0 0 1-2-2.4l1.4-7.2A3 3 0 0 1 7.4 3H17zM17 14h4V3h-4";
/** Two buttons that say what the person thinks of an item. */
export function judgeButtons(id, title, person, judge) {
    return [[true, "Like", UP], [false, "Not for me", DOWN]].map(([liked, name, path]) => h("button", {
        type: "button", class: "icon", title: name, "aria-label": `${name}: ${title}`, "aria-pressed": String(person.opinion(id) === liked),
        onclick: () => judge(id, liked),
    }, icon(path)));
}
/** The drawer. */
export class ItemDialog {
    device;
    person;
    judge;
    dialog = at("item");
    constructor(device, person, judge) {
        this.device = device;
        this.person = person;
        this.judge = judge;
        this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog)
            this.dialog.close(); });
    }
    /** Shows an item. */
    open(id) {
        const { items } = this.device, row = items.row(id), title = items.titleOf(row);
        const facts = Object.entries(items.values(row)).filter(([name]) => name !== items.title)
            .map(([name, value]) => [name, shown(value, items.kinds.get(name))]).filter(([, text]) => text);
        const close = h("button", { type: "button", class: "quiet", onclick: () => this.dialog.close() }, "Close");
        put(this.dialog, h("header", {}, h("h2", { id: "item-title", tabindex: -1 }, title), close), h("div", { class: "body" }, facts.length > 0 && h("dl", { class: "facts" }, ...facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])), h("div", { class: "actions" }, ...this.buttons(id)), this.device.compares && h("h3", {}, "Like this one"), this.device.compares && h("ul", { class: "near" }, ...this.near(id))));
        if (!this.dialog.open)
            this.dialog.showModal();
        at("item-title").focus();
    }
    buttons(id) {
        const opinion = this.person.opinion(id);
        return [[true, "Like"], [false, "Not for me"]].map(([liked, name]) => h("button", { type: "button", "aria-pressed": String(opinion === liked), onclick: () => { this.judge(id, liked); this.dialog.close(); } }, name));
    }
    near(id) {
        return this.device.similar(id, { k: NEAR }).map((each) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => this.open(each.id) }, each.title)));
    }
}
