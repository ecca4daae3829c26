// A box to type in, with what is found under it: the combobox of the ARIA practices.

import { h, put } from "./dom.js";
import type { Found } from "./search.js";

interface Options {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly find: (text: string) => Found[];
  readonly choose: (found: Found) => void;
}

/** A combobox; what is chosen empties the box, so that the next can be typed. */
export class Picker {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  private readonly list: HTMLUListElement;
  private readonly note: HTMLParagraphElement;
  private found: Found[] = [];
  private active = -1;

  constructor(private readonly options: Options) {
    const { name, label, hint } = options;
    this.list = h("ul", { id: `${name}-list`, role: "listbox", "aria-label": label, hidden: true });
    this.note = h("p", { class: "note", id: `${name}-note`, role: "status" });
    this.input = h("input", {
      id: name, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder: hint,
      enterkeyhint: "done", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${name}-list`,
      "aria-describedby": `${name}-note`, oninput: () => this.look(), onclick: () => this.list.hidden && this.look(),
      onkeydown: (event: KeyboardEvent) => this.press(event), onblur: () => this.close(),
    });
    const box = h("div", { class: "box" }, this.input, this.list);
    this.element = h("div", { class: "picker" }, h("label", { for: name }, label), box, this.note);
  }

  private look(): void {
    const wanted = this.input.value.trim();
    if (!wanted) return this.close();
    this.found = this.options.find(wanted);
    put(this.list, ...this.found.map((each, place) => this.option(each, place)));
    this.list.hidden = this.found.length === 0;
    this.note.textContent = this.found.length ? "" : "Nothing is called that.";
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.active = -1;
    this.move(this.found.length ? 0 : -1);
  }

  private option(each: Found, place: number): HTMLLIElement {
    return h(
      "li",
      {
        id: `${this.options.name}-${place}`, role: "option", "aria-selected": "false",
        // Before the box loses the focus, which would close the list.
        onmousedown: (event: MouseEvent) => { event.preventDefault(); this.take(place); },
        onmousemove: () => this.move(place),
      },
      h("span", {}, each.title), each.note && h("small", {}, each.note),
    );
  }

  private move(to: number): void {
    this.list.children[this.active]?.setAttribute("aria-selected", "false");
    this.active = to;
    const there = this.list.children[to];
    there?.setAttribute("aria-selected", "true");
    there?.scrollIntoView({ block: "nearest" });
    if (there) this.input.setAttribute("aria-activedescendant", there.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  private close(): void {
    this.list.hidden = true;
    this.note.textContent = "";
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  private take(place: number): void {
    const each = this.found[place];
    this.input.value = "";
    this.close();
    if (each) this.options.choose(each);
  }

  private press(event: KeyboardEvent): void {
    const last = this.found.length - 1, isOpen = !this.list.hidden;
    const steps: Record<string, number> = {
      ArrowDown: this.active < last ? this.active + 1 : 0, ArrowUp: this.active > 0 ? this.active - 1 : last,
    };
    if (event.key in steps) {
      event.preventDefault();
      if (isOpen) this.move(steps[event.key]);
      else this.look();
    } else if (event.key === "Enter" && isOpen && this.active >= 0) {
      event.preventDefault();
      this.take(this.active);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      this.close();
    }
  }
}
