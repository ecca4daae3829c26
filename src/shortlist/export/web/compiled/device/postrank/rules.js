// Rules that drop, lift or limit items.
import { rescored, unitScores } from "./scale.js";
/** Drops items by a table, or because the person had them; the order stays. */
export function exclude(candidates, stage, scene) {
    const dropped = new Set(stage.seen ? scene.asker.rows : []);
    const marks = stage.table === null ? null : scene.table(stage.table).values;
    return candidates.keep((row) => !dropped.has(row) && !(marks !== null && marks[row] > 0));
}
/** Lifts or demotes items by a value in [0, 1]. */
export function boost(candidates, stage, scene) {
    if (stage.by === 0)
        return candidates;
    const { values } = scene.table(stage.table), scores = unitScores(candidates);
    const utility = scores.map((score, place) => {
        const lift = stage.by * values[candidates.rows[place]];
        return stage.how === "multiply" ? score * (1 + lift) : score + lift;
    });
    return rescored(candidates, utility);
}
/** Lets older items lose a part of their score; those without a date get the mean of the others. */
export function freshen(candidates, stage, scene) {
    if (stage.strength === 0)
        return candidates;
    const decays = Array.from(candidates.rows, (row) => {
        const date = scene.items.value(row, stage.column);
        if (typeof date !== "number" || scene.asker.now === 0)
            return null;
        return 2 ** (-Math.max(scene.asker.now - date, 0) / stage.halfLife);
    });
    const dated = decays.filter((decay) => decay !== null);
    const mean = dated.length ? dated.reduce((sum, decay) => sum + decay, 0) / dated.length : 1;
    const scores = unitScores(candidates);
    return rescored(candidates, scores.map((score, place) => score * (1 - stage.strength + stage.strength * (decays[place] ?? mean))));
}
/** Keeps at most a few items for each value of a column; the others follow or are dropped. */
export function cap(candidates, stage, scene) {
    const counts = new Map(), values = scene.items.lists(stage.column);
    const kept = [], skipped = [];
    candidates.rows.forEach((row, place) => {
        const own = [...new Set(values(row))];
        if (own.some((value) => (counts.get(value) ?? 0) >= stage.atMost)) {
            skipped.push(place);
            return;
        }
        kept.push(place);
        for (const value of own)
            counts.set(value, (counts.get(value) ?? 0) + 1);
    });
    return candidates.take(stage.fill ? [...kept, ...skipped] : kept);
}
