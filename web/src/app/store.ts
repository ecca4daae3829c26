// What the person did, kept in the browser's database and nowhere else.

import type { Id } from "../device/index.js";

/** A like or a dislike. */
export interface Judgement {
  readonly item: Id;
  readonly liked: boolean;
  /** In seconds since 1970. */
  readonly time: number;
}

const JUDGEMENTS = "judgements", SETTINGS = "settings";

/** The database of this page; pages in other folders of the same host have their own. */
export class Store {
  /** Calls when another tab changed something. */
  onchange: () => void = () => undefined;
  private readonly tabs: BroadcastChannel;

  private constructor(private readonly database: IDBDatabase, name: string) {
    this.tabs = new BroadcastChannel(name);
    this.tabs.onmessage = () => this.onchange();
  }

  static async open(): Promise<Store> {
    const name = `shortlist ${new URL("./", location.href).pathname}`, opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(JUDGEMENTS, { keyPath: "item" });
      opening.result.createObjectStore(SETTINGS);
    };
    return new Store(await done(opening), name);
  }

  /** What was judged, the oldest first. */
  async judgements(): Promise<Judgement[]> {
    const found = await done<Judgement[]>(this.read(JUDGEMENTS).getAll());
    return found.sort((a, b) => a.time - b.time);
  }

  /** Notes a judgement, in the place of an earlier one of the same item. */
  judge(judgement: Judgement): Promise<void> {
    return this.write(JUDGEMENTS, (store) => store.put(judgement));
  }

  /** Takes a judgement back. */
  withdraw(item: Id): Promise<void> {
    return this.write(JUDGEMENTS, (store) => store.delete(item));
  }

  async setting(name: string): Promise<unknown> {
    return done(this.read(SETTINGS).get(name));
  }

  set(name: string, value: unknown): Promise<void> {
    return this.write(SETTINGS, (store) => store.put(value, name));
  }

  /** Deletes all of it. */
  async forget(): Promise<void> {
    await this.write(JUDGEMENTS, (store) => store.clear());
    await this.write(SETTINGS, (store) => store.clear());
  }

  private read(name: string): IDBObjectStore {
    return this.database.transaction(name).objectStore(name);
  }

  private async write(name: string, change: (store: IDBObjectStore) => void): Promise<void> {
    const transaction = this.database.transaction(name, "readwrite");
    change(transaction.objectStore(name));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("the browser's database refused"));
    });
    this.tabs.postMessage("changed");
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's database refused"));
  });
}
