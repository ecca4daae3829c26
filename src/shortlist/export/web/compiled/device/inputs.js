// A request as the inputs of a model.
import { RequestError } from "./errors.js";
const DAY = 86_400;
/** In seconds; what 32 bits hold. */
const LONGEST = 2 ** 31 - 1;
/** In seconds since 1970: the year 2242. */
const LATEST = 2 ** 33;
/**
 * Looks up a request.
 *
 * @param history - oldest first; unknown ids are left out.
 * @param context - values of the models' inputs, and `now`.
 * @throws RequestError - the context has a key that no model reads.
 */
export function readAsker(history, context, items, manifest) {
    const columns = [...manifest.inputs.values()].flatMap((each) => ("column" in each ? [each.column] : []));
    for (const name of Object.keys(context)) {
        if (name !== "now" && !columns.includes(name)) {
            throw new RequestError(`no model reads '${name}'`, "context", `it may hold ${["now", ...columns].join(", ")}`);
        }
    }
    const now = Math.trunc(numberOf(context, "now") ?? Date.now() / 1000);
    const events = history.map((event) => (Array.isArray(event) ? event : [event, 0]));
    const known = events.map(([id, time]) => [items.row(id), Math.trunc(time)]).filter(([row]) => row > 0);
    return { rows: known.map(([row]) => row), times: known.map(([, time]) => time), now, context };
}
/**
 * The inputs of a model for one request.
 *
 * @param names - which inputs it reads.
 */
export function feedsOf(names, asker, inputs, table) {
    return names.flatMap((name) => {
        const input = inputs.get(name);
        if (input.kind === "history")
            return historyFeeds(input, asker.rows, table(input.table));
        return [input.kind === "history_times" ? timesFeed(input, asker) : contextFeed(input, asker)];
    });
}
function historyFeeds(input, rows, table) {
    const recent = rows.slice(-input.length), length = Math.max(recent.length, 1);
    const mask = new Float32Array(length).fill(1, 0, recent.length);
    return [
        { name: input.name, data: gather(table, recent, length), dims: [1, length, table.dim] },
        { name: `${input.name}_mask`, data: mask, dims: [1, length] },
    ];
}
/** Rows of a table, with zeros behind them. */
export function gather({ dim, values }, rows, length = rows.length) {
    const data = new Float32Array(length * dim);
    for (let place = 0; place < rows.length; place++) {
        const first = rows[place] * dim;
        data.set(values.subarray(first, first + dim), place * dim);
    }
    return data;
}
/** Seconds since the oldest of the events that are shown; 0 where times are unknown. */
function timesFeed({ name, length }, { rows, times }) {
    const data = new Int32Array(Math.max(Math.min(rows.length, length), 1)), recent = times.slice(-length);
    if (recent.every((time) => time !== 0))
        data.set(recent.map((time) => Math.min(time - Math.min(...recent), LONGEST)));
    return { name, data, dims: [1, data.length] };
}
function contextFeed(input, asker) {
    const { name, column } = input;
    if (input.kind === "category") {
        return { name, data: Int32Array.of(input.values.indexOf(asker.context[column]) + 1), dims: [1] };
    }
    const given = numberOf(asker.context, column);
    if (input.kind === "number")
        return { name, data: Float32Array.of(given ?? NaN), dims: [1] };
    const seconds = given ?? (input.now ? asker.now : null), days = Math.floor((seconds ?? 0) / DAY);
    return { name, data: seconds === null ? Int32Array.of(0, -1) : Int32Array.of(days, seconds - days * DAY), dims: [1, 2] };
}
function numberOf(context, name) {
    const value = context[name] ?? null;
    if (value === null)
        return null;
    if ((typeof value !== "number" && typeof value !== "boolean") || !(Math.abs(Number(value)) < LATEST)) {
        throw new RequestError(`'${name}' is ${JSON.stringify(value)}`, "context", "give a number, of a time the seconds since 1970");
    }
    return Number(value);
}
