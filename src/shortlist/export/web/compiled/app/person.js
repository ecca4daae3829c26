// The person: what they judged, in the database and in the model, always both.
/** What the person judged. */
export class Person {
    device;
    store;
    judgements = [];
    constructor(device, store) {
        this.device = device;
        this.store = store;
    }
    /**
     * Recalls the person.
     *
     * @param store - null where the browser keeps nothing: then all is forgotten with the page.
     */
    static async recall(device, store) {
        const person = new Person(device, store);
        await person.refresh();
        return person;
    }
    /** Reads again what is kept, as another tab may have changed it. */
    async refresh() {
        if (this.store)
            this.judgements = await this.store.judgements();
        this.teach();
    }
    /** What was liked, the oldest first. */
    get liked() {
        return this.of(true).map(({ item }) => item);
    }
    get disliked() {
        return this.of(false).map(({ item }) => item);
    }
    /** The history that recommendations follow from. */
    get history() {
        return this.of(true).map(({ item, time }) => [item, time]);
    }
    /** Whether an item was liked, or null where it was not judged. */
    opinion(item) {
        return this.judgements.find((each) => each.item === item)?.liked ?? null;
    }
    async judge(item, liked) {
        const judgement = { item, liked, time: Date.now() / 1000 };
        this.judgements = [...this.judgements.filter((each) => each.item !== item), judgement];
        this.teach();
        await this.store?.judge(judgement);
    }
    async withdraw(item) {
        this.judgements = this.judgements.filter((each) => each.item !== item);
        this.teach();
        await this.store?.withdraw(item);
    }
    async forget() {
        this.judgements = [];
        this.teach();
        await this.store?.forget();
    }
    of(liked) {
        return this.judgements.filter((each) => each.liked === liked);
    }
    /** What the model learnt is what the judgements teach, whatever was taken back. */
    teach() {
        this.device.forget();
        for (const { item, liked } of this.judgements)
            this.device.adapt(liked ? { liked: [item] } : { disliked: [item] });
    }
}
