// The first stage: candidates from the whole catalogue, found in several ways.
import { Candidates } from "./candidates.js";
import { bestRows } from "./selection.js";
/** Cormack et al., Reciprocal rank fusion (SIGIR 2009); places count from 0. */
const RECIPROCAL_RANK_OFFSET = 61;
/**
 * Finds the best of each retriever and merges them.
 *
 * @param retrievers - with their scores of every item.
 * @param allowed - `[count + 1]`, 0 for what must not come back, or null.
 * @returns candidates with the retriever's own scores where there is one, else with sums of reciprocal ranks.
 */
export function retrieve(retrievers, allowed) {
    const lists = retrievers.map(({ scores, k }) => bestRows(scores, allowed, k));
    if (lists.length > 1)
        return fuse(lists);
    const rows = lists[0], { scores } = retrievers[0];
    return new Candidates(rows, Float32Array.from(rows, (row) => scores[row]), new Uint32Array(rows.length).fill(1));
}
function fuse(lists) {
    const gains = new Map(), sources = new Map();
    lists.forEach((rows, number) => rows.forEach((row, place) => {
        gains.set(row, (gains.get(row) ?? 0) + 1 / (RECIPROCAL_RANK_OFFSET + place));
        sources.set(row, (sources.get(row) ?? 0) | (1 << number));
    }));
    const union = new Candidates(Int32Array.from(gains.keys()), Float32Array.from(gains.values()), Uint32Array.from(sources.values()));
    return union.best(union.length);
}
