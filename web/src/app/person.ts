// The person: what they judged, in the database and in the model, always both.

import type { Device, Event, Id } from "../device/index.js";
import type { Judgement, Store } from "./store.js";

/** What the person judged. */
export class Person {
  private judgements: Judgement[] = [];

  private constructor(private readonly device: Device, private readonly store: Store | null) {}

  /**
   * Recalls the person.
   *
   * @param store - null where the browser keeps nothing: then all is forgotten with the page.
   */
  static async recall(device: Device, store: Store | null): Promise<Person> {
    const person = new Person(device, store);
    await person.refresh();
    return person;
  }

  /** Reads again what is kept, as another tab may have changed it. */
  async refresh(): Promise<void> {
    if (this.store) this.judgements = await this.store.judgements();
    this.teach();
  }

  /** What was liked, the oldest first. */
  get liked(): Id[] {
    return this.of(true).map(({ item }) => item);
  }

  get disliked(): Id[] {
    return this.of(false).map(({ item }) => item);
  }

  /** The history that recommendations follow from. */
  get history(): Event[] {
    return this.of(true).map(({ item, time }) => [item, time] as const);
  }

  /** Whether an item was liked, or null where it was not judged. */
  opinion(item: Id): boolean | null {
    return this.judgements.find((each) => each.item === item)?.liked ?? null;
  }

  async judge(item: Id, liked: boolean): Promise<void> {
    const judgement = { item, liked, time: Date.now() / 1000 };
    this.judgements = [...this.judgements.filter((each) => each.item !== item), judgement];
    this.teach();
    await this.store?.judge(judgement);
  }

  async withdraw(item: Id): Promise<void> {
    this.judgements = this.judgements.filter((each) => each.item !== item);
    this.teach();
    await this.store?.withdraw(item);
  }

  async forget(): Promise<void> {
    this.judgements = [];
    this.teach();
    await this.store?.forget();
  }

  private of(liked: boolean): Judgement[] {
    return this.judgements.filter((each) => each.liked === liked);
  }

  /** What the model learnt is what the judgements teach, whatever was taken back. */
  private teach(): void {
    this.device.forget();
    for (const { item, liked } of this.judgements) this.device.adapt(liked ? { liked: [item] } : { disliked: [item] });
  }
}
