// What the person did, kept in the browser's database and nowhere else.
const JUDGEMENTS = "judgements", SETTINGS = "settings";
/** The database of this page; pages in other folders of the same host have their own. */
export class Store {
    database;
    /** Calls when another tab changed something. */
    onchange = () => undefined;
    tabs;
    constructor(database, name) {
        this.database = database;
        this.tabs = new BroadcastChannel(name);
        this.tabs.onmessage = () => this.onchange();
    }
    static async open() {
        const name = `shortlist ${new URL("./", location.href).pathname}`, opening = indexedDB.open(name, 1);
        opening.onupgradeneeded = () => {
            opening.result.createObjectStore(JUDGEMENTS, { keyPath: "item" });
            opening.result.createObjectStore(SETTINGS);
        };
        return new Store(await done(opening), name);
    }
    /** What was judged, the oldest first. */
    async judgements() {
        const found = await done(this.read(JUDGEMENTS).getAll());
        return found.sort((a, b) => a.time - b.time);
    }
    /** Notes a judgement, in the place of an earlier one of the same item. */
    judge(judgement) {
        return this.write(JUDGEMENTS, (store) => store.put(judgement));
    }
    /** Takes a judgement back. */
    withdraw(item) {
        return this.write(JUDGEMENTS, (store) => store.delete(item));
    }
    async setting(name) {
        return done(this.read(SETTINGS).get(name));
    }
    set(name, value) {
        return this.write(SETTINGS, (store) => store.put(value, name));
    }
    /** Deletes all of it. */
    async forget() {
        await this.write(JUDGEMENTS, (store) => store.clear());
        await this.write(SETTINGS, (store) => store.clear());
    }
    read(name) {
        return this.database.transaction(name).objectStore(name);
    }
    async write(name, change) {
        const transaction = this.database.transaction(name, "readwrite");
        change(transaction.objectStore(name));
        await new Promise((resolve, reject) => {
            transaction.oncomplete = () => resolve();
            transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("the browser's database refused"));
        });
        this.tabs.postMessage("changed");
    }
}
function done(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("the browser's database refused"));
    });
}
