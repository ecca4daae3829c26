// A box to type in, with what is found under it: the combobox of the ARIA practices.
import { h, put } from "./dom.js";
/** A combobox; what is chosen empties the box, so that the next can be typed. */
export class Picker {
    options;
    element;
    input;
    list;
    note;
    found = [];
    active = -1;
    constructor(options) {
        this.options = options;
        const { name, label, hint } = options;
        this.list = h("ul", { id: `${name}-list`, role: "listbox", "aria-label": label, hidden: true });
        this.note = h("p", { class: "note", id: `${name}-note`, role: "status" });
        this.input = h("input", {
            id: name, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder: hint,
            enterkeyhint: "done", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${name}-list`,
            "aria-describedby": `${name}-note`, oninput: () => this.look(), onclick: () => this.list.hidden && this.look(),
            onkeydown: (event) => this.press(event), onblur: () => this.close(),
        });
        const box = h("div", { class: "box" }, this.input, this.list);
        this.element = h("div", { class: "picker" }, h("label", { for: name }, label), box, this.note);
    }
    look() {
        const wanted = this.input.value.trim();
        if (!wanted)
            return this.close();
        this.found = this.options.find(wanted);
        put(this.list, ...this.found.map((each, place) => this.option(each, place)));
        this.list.hidden = this.found.length === 0;
        this.note.textContent = this.found.length ? "" : "Nothing is called that.";
        this.input.setAttribute("aria-expanded", String(!this.list.hidden));
        this.active = -1;
        this.move(this.found.length ? 0 : -1);
    }
    option(each, place) {
        return h("li", {
            id: `${this.options.name}-${place}`, role: "option", "aria-selected": "false",
            // Before the box loses the focus, which would close the list.
            onmousedown: (event) => { event.preventDefault(); this.take(place); },
            onmousemove: () => this.move(place),
        }, h("span", {}, each.title), each.note && h("small", {}, each.note));
    }
    move(to) {
        this.list.children[this.active]?.setAttribute("aria-selected", "false");
        this.active = to;
        const there = this.list.children[to];
        there?.setAttribute("aria-selected", "true");
        there?.scrollIntoView({ block: "nearest" });
        if (there)
            this.input.setAttribute("aria-activedescendant", there.id);
        else
            this.input.removeAttribute("aria-activedescendant");
    }
    close() {
        this.list.hidden = true;
        this.note.textContent = "";
        this.input.setAttribute("aria-expanded", "false");
        this.input.removeAttribute("aria-activedescendant");
    }
    take(place) {
        const each = this.found[place];
        this.input.value = "";
        this.close();
        if (each)
            this.options.choose(each);
    }
    press(event) {
        const last = this.found.length - 1, isOpen = !this.list.hidden;
        const steps = {
            ArrowDown: this.active < last ? this.active + 1 : 0, ArrowUp: this.active > 0 ? this.active - 1 : last,
        };
        if (event.key in steps) {
            event.preventDefault();
            if (isOpen)
                this.move(steps[event.key]);
            else
                this.look();
        }
        else if (event.key === "Enter" && isOpen && this.active >= 0) {
            event.preventDefault();
            this.take(this.active);
        }
        else if (event.key === "Escape" && isOpen) {
            event.preventDefault();
            this.close();
        }
    }
}
