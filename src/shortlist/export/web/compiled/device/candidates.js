// Lists of items on their way through the stages.
/** Rows of items with their scores, best first. */
export class Candidates {
    rows;
    scores;
    sources;
    /**
     * @param rows - `[n]` rows of the item table.
     * @param scores - `[n]`.
     * @param sources - `[n]`, bit r set where retriever r found the item.
     */
    constructor(rows, scores, sources) {
        this.rows = rows;
        this.scores = scores;
        this.sources = sources;
    }
    get length() {
        return this.rows.length;
    }
    /** Some of the candidates, by their present positions. */
    take(positions) {
        const order = Int32Array.from(positions);
        const pick = (place) => order[place];
        return new Candidates(order.map((position) => this.rows[position]), Float32Array.from({ length: order.length }, (_, place) => this.scores[pick(place)]), Uint32Array.from({ length: order.length }, (_, place) => this.sources[pick(place)]));
    }
    /** Those that a test lets through, in their order. */
    keep(test) {
        return this.take([...this.rows.keys()].filter((position) => test(this.rows[position])));
    }
    /** The first few. */
    top(k) {
        return this.length <= k ? this : this.take(Array.from({ length: k }, (_, position) => position));
    }
    /** The same items with other scores, in the same order. */
    withScores(scores) {
        return new Candidates(this.rows, scores, this.sources);
    }
    /** The first few by falling score; of equal ones the lower row first. */
    best(k) {
        const { rows, scores } = this;
        const order = [...rows.keys()].sort((a, b) => scores[b] - scores[a] || rows[a] - rows[b]);
        return this.take(order.slice(0, k));
    }
}
