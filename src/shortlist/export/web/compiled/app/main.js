// The page: what the person picks, and what follows from it at once.
import { load } from "../device/index.js";
import { at, h, put, say, shown } from "./dom.js";
import { ItemDialog, judgeButtons } from "./item.js";
import { keepOffline, offerInstall, showNetwork } from "./offline.js";
import { Person } from "./person.js";
import { Picker } from "./picker.js";
import { titleSearch } from "./search.js";
import { Store } from "./store.js";
import { followTheme, forgetTheme } from "./theme.js";
import { trustOwnScripts } from "./trusted.js";
import { Tuning } from "./tuning.js";
const list = at("list"), section = list.closest("section");
/** The page with a model. */
class Page {
    device;
    person;
    dialog;
    tuning;
    turn = 0;
    constructor(device, person) {
        this.device = device;
        this.person = person;
        this.dialog = new ItemDialog(device, person, (id, liked) => void this.judge(id, liked));
    }
    static async open(device) {
        const store = await Store.open().catch(() => null);
        if (!store)
            say("This browser keeps nothing: what you pick is forgotten with the page.", true);
        const page = new Page(device, await Person.recall(device, store));
        page.tuning = await Tuning.recall(device, store, () => void page.refresh());
        if (store)
            store.onchange = () => void page.recall();
        page.addSearch();
        at("forget").addEventListener("click", () => page.askToForget());
        await page.refresh();
    }
    addSearch() {
        const { items } = this.device, tags = [...items.kinds].find(([, kind]) => kind === "tags")?.[0];
        const note = (row) => (tags === undefined ? "" : shown(items.value(row, tags), "tags"));
        const picker = new Picker({
            name: "pick", label: "Search and pick", hint: `One of ${items.count.toLocaleString("en")} …`,
            find: titleSearch(this.device, (row) => this.device.fame(row), note),
            choose: ({ id }) => void this.judge(id, true),
        });
        put(at("search"), picker.element);
    }
    /** Another tab changed something. */
    async recall() {
        await this.person.refresh();
        await this.tuning.refresh();
        await this.refresh();
    }
    async judge(id, liked) {
        const title = this.titleOf(id), place = this.focusedPlace();
        if (this.person.opinion(id) === liked) {
            await this.withdraw(id);
            return;
        }
        const kept = this.person.judge(id, liked);
        await this.refresh(place);
        say(liked ? `You like ${title}. The list has changed.` : `${title} is left out. The list has changed.`);
        await kept;
    }
    async withdraw(id) {
        const kept = this.person.withdraw(id);
        await this.refresh();
        say(`${this.titleOf(id)} is taken back. The list has changed.`);
        await kept;
    }
    askToForget() {
        const dialog = at("confirm");
        dialog.returnValue = "cancel";
        dialog.onclose = () => { if (dialog.returnValue === "forget")
            void this.forget(); };
        dialog.showModal();
    }
    async forget() {
        await this.person.forget();
        forgetTheme();
        await this.tuning.refresh();
        await this.refresh();
        at("list-title").focus();
        say("Everything is forgotten.");
    }
    /** Asks the model and shows the answer; an older question's answer is not shown. */
    async refresh(focus) {
        const mine = ++this.turn, began = performance.now();
        this.showPicked();
        try {
            const answer = await this.device.recommend(this.person.history, this.tuning.options);
            if (mine !== this.turn)
                return;
            const milliseconds = performance.now() - began;
            await change(() => this.show(answer));
            at("speed").textContent = `Computed on this device in ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
            if (focus !== undefined)
                this.focusPlace(focus);
        }
        catch (error) {
            put(list, h("li", { class: "notice problem", role: "alert" }, error.message));
        }
        section.setAttribute("aria-busy", "false");
    }
    show(answer) {
        at("list-title").textContent = this.person.history.length ? "For you" : "To begin with";
        if (answer.length)
            put(list, ...answer.map((each) => this.entry(each)));
        else
            put(list, h("li", { class: "notice" }, "Nothing is left to recommend. Choose another kind, or take something back."));
    }
    entry(each) {
        const about = Object.entries(each.columns).filter(([name]) => this.device.items.kinds.get(name) === "tags").map(([, value]) => shown(value, "tags"));
        const entry = h("li", {}, h("div", { class: "what" }, h("button", { type: "button", class: "link", onclick: () => this.dialog.open(each.id) }, each.title), about[0] && h("small", {}, about[0]), each.like !== null && h("small", { class: "why" }, `like ${this.titleOf(each.like)}`)), h("div", { class: "judge" }, ...judgeButtons(each.id, each.title, this.person, (id, liked) => void this.judge(id, liked))));
        entry.style.setProperty("view-transition-name", `row-${this.device.items.row(each.id)}`);
        return entry;
    }
    showPicked() {
        const part = (name, ids, off) => ids.length > 0 && h("div", {}, h("h2", {}, `${name} (${ids.length})`), h("ul", { class: "chips" }, ...[...ids].reverse().map((id) => this.chip(id, off))));
        put(at("picked"), part("You like", this.person.liked, false), part("Not for you", this.person.disliked, true));
    }
    chip(id, off) {
        const title = this.titleOf(id), remove = { type: "button", "aria-label": `Take back: ${title}`, onclick: () => void this.withdraw(id) };
        return h("li", { class: off ? "off" : "" }, h("span", {}, title), h("button", remove, "×"));
    }
    titleOf(id) {
        const row = this.device.items.row(id);
        return row ? this.device.items.titleOf(row) : String(id); // a new version may lack what was judged
    }
    /** Which entry of the list has the focus: pressing its button removes it. */
    focusedPlace() {
        const entry = document.activeElement?.closest("#list > li");
        return entry ? [...list.children].indexOf(entry) : undefined;
    }
    focusPlace(place) {
        const entry = list.children[Math.min(place, list.children.length - 1)];
        (entry?.querySelector(".judge button") ?? at("list-title")).focus({ preventScroll: true });
    }
}
/** Changes the page, smoothly where the browser can and the person does not mind. */
async function change(act) {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (isCalm || !("startViewTransition" in document) || document.hidden)
        return act();
    const transition = document.startViewTransition(act);
    transition.ready.catch(() => undefined); // the next change may come before this one was drawn
    await transition.updateCallbackDone;
}
async function begin() {
    trustOwnScripts();
    followTheme();
    showNetwork();
    offerInstall();
    document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); at("main").focus(); });
    try {
        await Page.open(await load("model/"));
    }
    catch (error) {
        section.setAttribute("aria-busy", "false");
        put(list, h("li", { class: "notice problem", role: "alert" }, `This page cannot start: ${error.message}`));
    }
    await keepOffline((text) => { at("state").textContent = text; });
}
await begin();
