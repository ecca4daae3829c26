// One item: what is known of it, what resembles it, and what the person thinks of it.

import type { Device, Id } from "../device/index.js";
import { at, h, icon, put, shown } from "./dom.js";
import type { Person } from "./person.js";

const NEAR = 8;
const UP = "M7 21V10l5-7c1.6 0 2.4 1.2 2 2.8L13.3 9H19a2 2 0 0 1 2 2.4l-1.4 7.2A3 3 0 0 1 16.6 21H7zM7 10H3v11h4";
const DOWN = "M17 3v11l-5 7c-1.6 0-2.4-1.2-2-2.8l.7-3.2H5a2 2 0 0 1-2-2.4l1.4-7.2A3 3 0 0 1 7.4 3H17zM17 14h4V3h-4";

/** Two buttons that say what the person thinks of an item. */
export function judgeButtons(id: Id, title: string, person: Person, judge: (id: Id, liked: boolean) => void): HTMLButtonElement[] {
  return ([[true, "Like", UP], [false, "Not for me", DOWN]] as const).map(([liked, name, path]) => h(
    "button",
    {
      type: "button", class: "icon", title: name, "aria-label": `${name}: ${title}`, "aria-pressed": String(person.opinion(id) === liked),
      onclick: () => judge(id, liked),
    },
    icon(path),
  ));
}

/** The drawer. */
export class ItemDialog {
  private readonly dialog = at("item") as HTMLDialogElement;

  constructor(
    private readonly device: Device,
    private readonly person: Person,
    private readonly judge: (id: Id, liked: boolean) => void,
  ) {
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  /** Shows an item. */
  open(id: Id): void {
    const { items } = this.device, row = items.row(id), title = items.titleOf(row);
    const facts = Object.entries(items.values(row)).filter(([name]) => name !== items.title)
      .map(([name, value]) => [name, shown(value, items.kinds.get(name))] as const).filter(([, text]) => text);
    const close = h("button", { type: "button", class: "quiet", onclick: () => this.dialog.close() }, "Close");
    put(
      this.dialog,
      h("header", {}, h("h2", { id: "item-title", tabindex: -1 }, title), close),
      h("div", { class: "body" },
        facts.length > 0 && h("dl", { class: "facts" }, ...facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
        h("div", { class: "actions" }, ...this.buttons(id)),
        this.device.compares && h("h3", {}, "Like this one"),
        this.device.compares && h("ul", { class: "near" }, ...this.near(id))),
    );
    if (!this.dialog.open) this.dialog.showModal();
    at("item-title").focus();
  }

  private buttons(id: Id): HTMLButtonElement[] {
    const opinion = this.person.opinion(id);
    return ([[true, "Like"], [false, "Not for me"]] as const).map(([liked, name]) => h(
      "button",
      { type: "button", "aria-pressed": String(opinion === liked), onclick: () => { this.judge(id, liked); this.dialog.close(); } },
      name,
    ));
  }

  private near(id: Id): HTMLLIElement[] {
    return this.device.similar(id, { k: NEAR }).map((each) => h(
      "li", {}, h("button", { type: "button", class: "link", onclick: () => this.open(each.id) }, each.title),
    ));
  }
}
