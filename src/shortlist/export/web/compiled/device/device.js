// A recommender that runs where the person is.
import { EXPORT_AGAIN, ExportError, RequestError } from "./errors.js";
import { feedsOf, gather, readAsker } from "./inputs.js";
import { fetchParts } from "./parts.js";
import { applyStage } from "./postrank/index.js";
import { retrieve } from "./retrieve.js";
import { bestRows } from "./selection.js";
import { products } from "./tables.js";
import { adapted, spreadOf, Taste } from "./taste.js";
/** Events of the history that an item is compared with, the latest ones. */
const EVENTS_COMPARED = 200;
/** How many similar items come where nobody says. */
const SIMILAR = 12;
/**
 * Fetches an export, checks each file and starts its models.
 *
 * @param url - the folder that holds manifest.json.
 * @param options - where ONNX Runtime Web lies, and threads.
 * @throws ExportError - the export is missing, incomplete, damaged, foreign or newer; the file is named.
 */
export async function load(url, options = {}) {
    const folder = new URL(url, location.href);
    if (!folder.pathname.endsWith("/"))
        folder.pathname += "/";
    return new Device(await fetchParts(folder, options));
}
/** A loaded export. */
export class Device {
    parts;
    taste = new Taste();
    spreads = new Map();
    turn = Promise.resolve();
    constructor(parts) {
        this.parts = parts;
    }
    /** The item table. */
    get items() {
        return this.parts.items;
    }
    /** The export's own rules. */
    get postrank() {
        return this.parts.manifest.postrank;
    }
    /** Which model this is: the checksum of the bundle that was exported. */
    get source() {
        return this.parts.manifest.source;
    }
    /** Whether `similar` can answer. */
    get compares() {
        return this.parts.manifest.diversityTable !== null;
    }
    /** How popular the item of a row is among all of them, where the export says so; else 0. */
    fame(row) {
        const popular = this.parts.manifest.retrieve.find((each) => each.kind === "popular");
        return popular ? this.table(popular.table).values[row] : 0;
    }
    /**
     * What to show to a person.
     *
     * @param history - what happened, oldest first: ids, or pairs of an id and seconds since 1970; unknown ids are left out.
     * @returns at most k items, best first.
     * @throws RequestError - an option makes no sense.
     */
    recommend(history, options = {}) {
        // One after another, since a model computes one thing at a time.
        const answer = this.turn.then(() => this.answer(history, options));
        this.turn = answer.catch(() => undefined);
        return answer;
    }
    /**
     * The items that resemble another most.
     *
     * @throws RequestError - the export does not have the item, or nothing to compare by.
     */
    similar(id, { k = SIMILAR } = {}) {
        const units = this.parts.units(), row = this.items.row(id);
        if (units === null)
            throw new RequestError("this export has no vectors to compare items by", "similar", "export with a retriever that embeds items");
        if (row === 0)
            throw new RequestError(`the item ${JSON.stringify(id)} is not in this export`, "similar");
        const cosines = products(units, units.values.subarray(row * units.dim, (row + 1) * units.dim));
        return Array.from(bestRows(cosines, this.allowed([row], {}), this.size(k)), (each) => ({ id: this.items.id(each), similarity: cosines[each], title: this.items.titleOf(each) }));
    }
    /** Learns from judgements; they are not recommended again. An id that the export does not have is ignored. */
    adapt(judgements) {
        for (const [ids, liked] of [[judgements.liked ?? [], true], [judgements.disliked ?? [], false]]) {
            for (const row of ids.map((id) => this.items.row(id)))
                if (row > 0)
                    this.taste.judge(row, liked);
        }
    }
    /** Forgets all that was learnt of the person. */
    forget() {
        this.taste.forget();
    }
    async answer(history, options) {
        const { manifest, items } = this.parts, size = this.size(options.k);
        const asker = readAsker(history, options.context ?? {}, items, manifest);
        const hidden = [...(manifest.excludeHistory ? asker.rows : []), ...this.taste.rows];
        const scores = new Map();
        for (const each of manifest.retrieve)
            scores.set(each.name, await this.scores(each, asker));
        const retrievers = manifest.retrieve.map((each) => ({ scores: scores.get(each.name), k: Math.max(each.k, size) }));
        let list = retrieve(retrievers, this.allowed(hidden, options));
        if (manifest.rank)
            list = await this.rank(manifest.rank, list, scores, asker, size);
        const scene = { size, items, asker, table: this.table, units: this.parts.units };
        for (const stage of options.postrank ?? this.postrank)
            list = applyStage(list, stage, scene);
        return this.described(list.top(size), asker);
    }
    async scores(entry, asker) {
        const table = this.table(entry.table);
        if (entry.kind === "popular")
            return table.values;
        const [query] = await this.run(entry.model, entry.inputs, asker);
        if (query.length !== table.dim)
            throw new ExportError(`the model '${entry.model}' gives no vector of ${table.dim} numbers`, "", EXPORT_AGAIN);
        const scores = products(table, query), { judgements } = this.taste;
        if (judgements.length === 0)
            return scores;
        if (!this.spreads.has(table))
            this.spreads.set(table, spreadOf(table));
        return adapted(table, this.spreads.get(table), query, scores, judgements);
    }
    async rank(entry, list, scores, asker, size) {
        if (list.length === 0)
            return list;
        const columns = entry.scores.map((name) => scores.get(name)), table = entry.table === null ? null : this.table(entry.table);
        const given = Float32Array.from({ length: list.length * columns.length }, (_, place) => (columns[place % columns.length][list.rows[Math.floor(place / columns.length)]]));
        const outputs = await this.run(entry.model, entry.inputs, asker, [
            ...(table ? [{ name: "items", data: gather(table, list.rows), dims: [list.length, table.dim] }] : []),
            ...(columns.length ? [{ name: "scores", data: given, dims: [list.length, columns.length] }] : []),
        ]);
        if (outputs.some((each) => each.length !== list.length)) {
            throw new ExportError(`the ranker does not give one score to each of ${list.length} candidates`, "", EXPORT_AGAIN);
        }
        const best = list.withScores(outputs[0]).best(Math.max(entry.keep, size));
        if (!entry.calibrated)
            return best;
        const calibrated = new Map(Array.from(list.rows, (row, place) => [row, outputs[1][place]]));
        return best.withScores(Float32Array.from(best.rows, (row) => calibrated.get(row)));
    }
    run(model, inputs, asker, more = []) {
        return this.parts.models.get(model).run([...feedsOf(inputs, asker, this.parts.manifest.inputs, this.table), ...more]);
    }
    table = (name) => this.parts.tables.get(name);
    /** Which rows may come back. */
    allowed(hidden, { exclude, where }) {
        const mask = this.items.mask(where ?? {});
        for (const row of hidden)
            mask[row] = 0;
        for (const id of exclude ?? [])
            mask[this.items.row(id)] = 0;
        return mask;
    }
    size(k) {
        if (k === undefined)
            return this.parts.manifest.size;
        if (!Number.isSafeInteger(k) || k < 1)
            throw new RequestError(`k is ${k}`, "", "ask for at least one item");
        return k;
    }
    described(list, asker) {
        const names = this.parts.manifest.retrieve.map((each) => each.name), past = asker.rows.slice(-EVENTS_COMPARED);
        return Array.from(list.rows, (row, place) => ({
            id: this.items.id(row),
            score: list.scores[place],
            title: this.items.titleOf(row),
            columns: this.items.values(row),
            foundBy: names.filter((_, number) => (list.sources[place] >> number) & 1),
            like: this.nearest(row, past),
        }));
    }
    /** Which event of the past resembles an item most. */
    nearest(row, past) {
        const units = this.parts.units();
        if (units === null || past.length === 0)
            return null;
        const { dim, values } = units;
        const cosines = past.map((event) => {
            let sum = 0;
            for (let i = 0; i < dim; i++)
                sum += values[row * dim + i] * values[event * dim + i];
            return sum;
        });
        return this.items.id(past[cosines.indexOf(Math.max(...cosines))]);
    }
}
