// Scores on a common scale, and lists sorted by a new score.
/** Scores brought to [0, 1], so that one setting suits every ranker; 1 for all where all are equal. */
export function unitScores({ scores }) {
    let lowest = Infinity, highest = -Infinity;
    for (const score of scores) {
        lowest = Math.min(lowest, score);
        highest = Math.max(highest, score);
    }
    const spread = highest - lowest;
    return Float64Array.from(scores, (score) => (spread > 0 ? (score - lowest) / spread : 1));
}
/** Gives new scores and sorts by them; equal ones keep the order they came in. */
export function rescored(candidates, utility) {
    const order = [...utility.keys()].sort((a, b) => utility[b] - utility[a]);
    return candidates.withScores(Float32Array.from(utility)).take(order);
}
