// What the device learns of a person: Bayesian linear regression of the person's vector on what they judged.
//
// The tower's output is the mean of the prior. Source: Bishop, Pattern Recognition and Machine Learning (2006),
// 3.3.1, in the dual form of 6.1, so that the work grows with the judgements and not with the width.
import { products } from "./tables.js";
/** Judgements that count: the latest ones. */
const COUNTED = 64;
/** How far above the mean score a liked item is drawn, in standard deviations; a disliked one is drawn to the mean. */
const REACH = 3;
/** Which items were liked and disliked. */
export class Taste {
    judged = new Map();
    /** Rows in the order in which they were judged, 1 for liked and -1 for disliked. */
    get judgements() {
        return [...this.judged].slice(-COUNTED);
    }
    /** All rows that were judged. */
    get rows() {
        return this.judged.keys();
    }
    /** Notes a judgement, which takes the place of an earlier one of the same item. */
    judge(row, liked) {
        this.judged.delete(row);
        this.judged.set(row, liked ? 1 : -1);
    }
    forget() {
        this.judged.clear();
    }
}
/** Computes the spread of rows from 1 on. */
export function spreadOf({ rows, dim, values }) {
    const mean = new Float64Array(dim), count = rows - 1;
    for (let place = dim; place < values.length; place++)
        mean[place % dim] += values[place];
    for (let i = 0; i < dim; i++)
        mean[i] /= count;
    let square = 0;
    for (let place = dim; place < values.length; place++)
        square += (values[place] - mean[place % dim]) ** 2;
    return { mean, variance: square / count };
}
/**
 * Scores after the judgements.
 *
 * @param table - the items' vectors.
 * @param spread - of the table.
 * @param query - the tower's output.
 * @param scores - its product with each vector; row 0 does not count.
 * @param judgements - rows and signs.
 */
export function adapted(table, spread, query, scores, judgements) {
    if (judgements.length === 0 || spread.variance === 0)
        return scores;
    const { dim, values } = table, { mean } = spread, { centre, deviation } = moments(scores);
    const apart = judgements.map(([row]) => Float64Array.from({ length: dim }, (_, i) => values[row * dim + i] - mean[i]));
    const missing = judgements.map(([row, sign]) => {
        return sign > 0 ? Math.max(0, centre + REACH * deviation - scores[row]) : Math.min(0, centre - scores[row]);
    });
    const gram = apart.map((x, i) => Float64Array.from(apart, (y, j) => dot(x, y) + (i === j ? spread.variance : 0)));
    const weights = solve(gram, missing), moved = new Float32Array(dim), delta = new Float64Array(dim);
    apart.forEach((x, number) => { for (let i = 0; i < dim; i++)
        delta[i] += weights[number] * x[i]; });
    for (let i = 0; i < dim; i++)
        moved[i] = query[i] + delta[i];
    const shift = Math.fround(dot(delta, mean)), result = products(table, moved);
    for (let row = 0; row < result.length; row++)
        result[row] -= shift;
    return result;
}
function moments(scores) {
    const count = scores.length - 1;
    let sum = 0, square = 0;
    for (let row = 1; row <= count; row++)
        sum += scores[row];
    const centre = sum / count;
    for (let row = 1; row <= count; row++)
        square += (scores[row] - centre) ** 2;
    return { centre, deviation: Math.sqrt(square / count) };
}
function dot(one, other) {
    let sum = 0;
    for (let i = 0; i < one.length; i++)
        sum += one[i] * other[i];
    return sum;
}
/** Solves a symmetric positive definite system by Cholesky's factors, which take the matrix's place. */
function solve(matrix, right) {
    const size = right.length, x = Float64Array.from(right);
    for (let i = 0; i < size; i++) {
        for (let j = 0; j <= i; j++) {
            let rest = matrix[i][j];
            for (let k = 0; k < j; k++)
                rest -= matrix[i][k] * matrix[j][k];
            matrix[i][j] = i === j ? Math.sqrt(rest) : rest / matrix[j][j];
        }
    }
    for (let i = 0; i < size; i++) {
        for (let k = 0; k < i; k++)
            x[i] -= matrix[i][k] * x[k];
        x[i] /= matrix[i][i];
    }
    for (let i = size - 1; i >= 0; i--) {
        for (let k = i + 1; k < size; k++)
            x[i] -= matrix[k][i] * x[k];
        x[i] /= matrix[i][i];
    }
    return x;
}
