// The best of many scores, without sorting all of them.
const ROW_BITS = 2 ** 21;
const counts = new Uint32Array(1 << 16);
/**
 * The rows with the highest scores.
 *
 * @param scores - `[rows]`, finite; row 0 is the unknown item's, which never comes back.
 * @param allowed - `[rows]`, 0 for what must not come back, or null.
 * @param k - how many at most.
 * @returns rows by falling score, of equal ones the lower row first.
 */
export function bestRows(scores, allowed, k) {
    const keys = fallingKeys(scores);
    const last = lastBucket(keys, allowed, k);
    const chosen = [];
    for (let row = 1; row < keys.length; row++) {
        if (keys[row] >>> 16 <= last && (allowed === null || allowed[row]))
            chosen.push(keys[row] * ROW_BITS + row);
    }
    // A double holds the 32 bits of a key and the 21 of a row, and a typed array sorts numbers.
    const sorted = Float64Array.from(chosen).sort();
    return Int32Array.from({ length: Math.min(k, sorted.length) }, (_, place) => sorted[place] % ROW_BITS);
}
/** Whole numbers that rise as the scores fall. */
function fallingKeys(scores) {
    const copy = scores.slice(), keys = new Uint32Array(copy.buffer);
    for (let row = 0; row < keys.length; row++) {
        if (copy[row] === 0)
            copy[row] = 0; // minus zero too
        const bits = keys[row];
        keys[row] = bits >>> 31 ? bits : ~(bits | 0x80000000);
    }
    return keys;
}
/** The upper half of the k-th smallest key, or the greatest there is where there are fewer. */
function lastBucket(keys, allowed, k) {
    counts.fill(0);
    for (let row = 1; row < keys.length; row++)
        if (allowed === null || allowed[row])
            counts[keys[row] >>> 16]++;
    let found = 0;
    for (let bucket = 0; bucket < counts.length; bucket++) {
        found += counts[bucket];
        if (found >= k)
            return bucket;
    }
    return counts.length - 1;
}
