// Lists whose items do not all resemble each other.
import { EXPORT_AGAIN, ExportError } from "../errors.js";
import { unitScores } from "./scale.js";
/** Below this share of its own variance an item counts as a copy of what was picked. */
const COPY = 1e-10;
/** Gains closer than this are equal and keep the order, so that rounding never decides. */
const GAIN_STEPS = 2 ** 30;
/**
 * Picks the first items so that they are good and unlike each other; the rest follow in order.
 *
 * Source: Carbonell and Goldstein, The use of MMR (SIGIR 1998); Chen et al., Fast greedy MAP inference for
 * determinantal point process (NeurIPS 2018).
 */
export function diversify(candidates, stage, scene) {
    if (stage.strength === 0)
        return candidates;
    const similarity = similarityOf(candidates, stage, scene), scores = unitScores(candidates);
    const picks = Math.min(scene.size, candidates.length);
    const picked = (stage.method === "mmr" ? pickByRelevance : pickByDeterminant)(scores, similarity, stage.strength, picks);
    const taken = new Set(picked);
    return candidates.take([...picked, ...[...scores.keys()].filter((place) => !taken.has(place))]);
}
function similarityOf(candidates, stage, scene) {
    if (stage.by !== null)
        return jaccard(candidates, scene.items.lists(stage.by));
    const units = scene.units();
    if (units === null)
        throw new ExportError("there are no vectors to compare items by", "Diversity", EXPORT_AGAIN);
    return cosine(candidates, units, stage.method === "dpp");
}
function cosine({ rows }, { dim, values }, shifted) {
    return (one, other) => {
        const first = rows[one] * dim, second = rows[other] * dim;
        let sum = 0;
        for (let i = 0; i < dim; i++)
            sum += values[first + i] * values[second + i];
        return Math.min(Math.max(shifted ? (1 + sum) / 2 : sum, 0), 1);
    };
}
function jaccard({ rows }, values) {
    const sets = Array.from(rows, (row) => new Set(values(row)));
    return (one, other) => {
        const a = sets[one], b = sets[other];
        let common = 0;
        for (const value of a)
            if (b.has(value))
                common += 1;
        return common / Math.max(a.size + b.size - common, 1);
    };
}
/** Greedy maximal marginal relevance. */
function pickByRelevance(scores, similarity, strength, picks) {
    const gain = scores.map((score) => (1 - strength) * score), penalty = new Float64Array(scores.length);
    const free = new Uint8Array(scores.length).fill(1), picked = [];
    while (picked.length < picks) {
        const best = firstBest(free, (place) => gain[place] - strength * penalty[place]);
        picked.push(best);
        free[best] = 0;
        for (let place = 0; place < free.length; place++) {
            if (free[place])
                penalty[place] = Math.max(penalty[place], similarity(best, place));
        }
    }
    return picked;
}
/** Greedy maximum a posteriori of a determinantal point process, by an incremental Cholesky factor. */
function pickByDeterminant(scores, similarity, strength, picks) {
    const count = scores.length, rest = new Float64Array(count).fill(1), factor = new Float64Array(count * picks);
    const free = new Uint8Array(count).fill(1), picked = [];
    for (let step = 0; step < picks; step++) {
        const best = firstBest(free, (place) => (1 - strength) * scores[place] + strength * Math.log(Math.max(rest[place], COPY)));
        picked.push(best);
        free[best] = 0;
        const own = rest[best], root = Math.sqrt(Math.max(own, COPY)), mine = best * picks;
        for (let place = 0; place < count; place++) {
            if (!free[place] || own <= COPY)
                continue; // a copy adds no direction
            let known = 0;
            for (let i = 0; i < step; i++)
                known += factor[place * picks + i] * factor[mine + i];
            const entry = (similarity(best, place) - known) / root;
            factor[place * picks + step] = entry;
            rest[place] -= entry * entry;
        }
        factor[mine + step] = Math.sqrt(Math.max(own, 0));
    }
    return picked;
}
/** The first place with the greatest gain among the free ones. */
function firstBest(free, gainOf) {
    let best = -1, most = -Infinity;
    for (let place = 0; place < free.length; place++) {
        if (!free[place])
            continue;
        const gain = roundEven(gainOf(place) * GAIN_STEPS);
        if (gain > most) {
            most = gain;
            best = place;
        }
    }
    return best;
}
/** To the nearest whole number, halves to the even one; below 2^51. */
const roundEven = (value) => value + 0x18000000000000 - 0x18000000000000;
