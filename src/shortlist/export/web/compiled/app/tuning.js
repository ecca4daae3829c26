// What the person can set: how varied the list is, and what kind of items it holds.
import { at, h, put } from "./dom.js";
const STEPS = 20;
/** The settings of the list. */
export class Tuning {
    device;
    store;
    changed;
    diversity;
    kind = "";
    column;
    isDiverse;
    constructor(device, store, changed) {
        this.device = device;
        this.store = store;
        this.changed = changed;
        this.isDiverse = device.compares || this.own !== undefined;
        this.diversity = this.own?.strength ?? 0;
        this.column = [...device.items.kinds].find(([, kind]) => kind === "tags")?.[0] ?? null;
    }
    /** Recalls what was set. */
    static async recall(device, store, changed) {
        const tuning = new Tuning(device, store, changed);
        await tuning.refresh();
        return tuning;
    }
    /** Reads again what is kept. */
    async refresh() {
        const diversity = await this.store?.setting("diversity"), kind = await this.store?.setting("kind");
        this.diversity = typeof diversity === "number" && diversity >= 0 && diversity <= 1 ? diversity : (this.own?.strength ?? 0);
        this.kind = typeof kind === "string" && this.kinds().includes(kind) ? kind : "";
        this.show();
    }
    /** What to ask the model for. */
    get options() {
        return {
            ...(this.isDiverse ? { postrank: this.rules() } : {}),
            ...(this.column !== null && this.kind ? { where: { [this.column]: this.kind } } : {}),
        };
    }
    get own() {
        return this.device.postrank.find((each) => each.kind === "Diversity");
    }
    /** The export's own rules, with the diversity that is set; it stands before the caps, which come last. */
    rules() {
        const rules = this.device.postrank;
        const diversity = { kind: "Diversity", method: this.own?.method ?? "mmr", by: this.own?.by ?? null, strength: this.diversity };
        if (this.own)
            return rules.map((each) => (each.kind === "Diversity" ? diversity : each));
        const end = rules.findIndex((each) => each.kind === "Cap");
        return end < 0 ? [...rules, diversity] : [...rules.slice(0, end), diversity, ...rules.slice(end)];
    }
    /** The tags of the items, the most frequent first. */
    kinds() {
        if (this.column === null)
            return [];
        const { items } = this.device, lists = items.lists(this.column), counts = new Map();
        for (let row = 1; row <= items.count; row++)
            for (const tag of lists(row))
                counts.set(String(tag), (counts.get(String(tag)) ?? 0) + 1);
        return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, 40).map(([tag]) => tag);
    }
    show() {
        put(at("tuning"), this.isDiverse && this.slider(), this.column !== null && this.choice(this.column));
        at("tuning").hidden = !this.isDiverse && this.column === null;
    }
    slider() {
        const text = () => `${Math.round(this.diversity * 100)} %`, output = h("output", { for: "diversity" }, text());
        const input = h("input", {
            id: "diversity", type: "range", min: 0, max: STEPS, value: Math.round(this.diversity * STEPS), "aria-valuetext": text(), "aria-describedby": "diversity-hint",
            oninput: () => {
                this.diversity = Number(input.value) / STEPS;
                output.textContent = text();
                input.setAttribute("aria-valuetext", text());
                this.changed();
            },
            onchange: () => { void this.store?.set("diversity", this.diversity); },
        });
        return h("div", { class: "slider" }, h("label", { for: "diversity" }, "Diversity"), output, input, h("p", { class: "hint", id: "diversity-hint" }, "To the right, the list holds items that are unlike each other."));
    }
    choice(column) {
        const all = h("option", { value: "" }, "All"), tags = this.kinds();
        const select = h("select", {
            id: "kind",
            onchange: () => {
                this.kind = select.value;
                this.changed();
                void this.store?.set("kind", this.kind);
            },
        }, all, tags.map((tag) => h("option", { value: tag, selected: tag === this.kind }, tag)));
        return h("div", { class: "choice" }, h("label", { for: "kind" }, `Filter by ${column}`), select);
    }
}
