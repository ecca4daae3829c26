// What is known of each item.
import { EXPORT_AGAIN, ExportError, RequestError } from "./errors.js";
import { gunzip } from "./files.js";
const TITLES = ["title", "name"];
/** The item table; row i describes item i, from 1 on. */
export class ItemTable {
    ids;
    kinds;
    columns;
    /** The column that items are called by, or null where only their ids name them. */
    title;
    rows;
    constructor(ids, kinds, columns) {
        this.ids = ids;
        this.kinds = kinds;
        this.columns = columns;
        this.rows = new Map(ids.map((id, position) => [id, position + 1]));
        this.title = TITLES.find((name) => kinds.has(name)) ?? null;
    }
    get count() {
        return this.ids.length;
    }
    /** The row of an id, 0 where it is unknown; a number written as a text is understood, and the reverse. */
    row(id) {
        return this.rows.get(id) ?? this.rows.get(otherForm(id)) ?? 0;
    }
    /** The id of a row from 1 on. */
    id(row) {
        return this.ids[row - 1];
    }
    /** What an item is called. */
    titleOf(row) {
        return String((this.title === null ? null : this.value(row, this.title)) ?? this.id(row));
    }
    /** A value of an item, null where it is missing. */
    value(row, column) {
        return this.column(column)[row - 1] ?? null;
    }
    /** All that is known of an item. */
    values(row) {
        return Object.fromEntries([...this.columns].map(([name, column]) => [name, column[row - 1] ?? null]));
    }
    /** A column's values for each item, several where they are tags. */
    lists(name) {
        const column = this.column(name);
        return (row) => {
            const value = column[row - 1] ?? null;
            return Array.isArray(value) ? value.filter((each) => each !== null) : value === null ? [] : [value];
        };
    }
    /**
     * Which items meet a condition.
     *
     * @param where - of each column, the value or the values that are asked for.
     * @returns `[count + 1]`, 1 for the items that do.
     * @throws RequestError - a column is unknown.
     */
    mask(where) {
        const mask = new Uint8Array(this.count + 1).fill(1, 1);
        for (const [name, wanted] of Object.entries(where)) {
            if (!this.columns.has(name)) {
                throw new RequestError(`the item table has no column '${name}'`, "where", `it has ${[...this.columns.keys()].join(", ")}`);
            }
            const allowed = new Set(Array.isArray(wanted) ? wanted : [wanted]), values = this.lists(name);
            for (let row = 1; row <= this.count; row++)
                if (!values(row).some((each) => allowed.has(each)))
                    mask[row] = 0;
        }
        return mask;
    }
    column(name) {
        const column = this.columns.get(name);
        if (!column)
            throw new RequestError(`the item table has no column '${name}'`);
        return column;
    }
}
const otherForm = (id) => (typeof id === "number" ? String(id) : /^-?[0-9]{1,16}$/.test(id) ? Number(id) : id);
/** Whole numbers from their differences; null where there are none. */
function sums(steps) {
    if (!Array.isArray(steps))
        return null;
    let sum = 0;
    return steps.map((step) => (sum += typeof step === "number" ? step : NaN));
}
/**
 * Unpacks the item table of an export.
 *
 * @param manifest - says which columns there are.
 * @param packed - the file.
 * @throws ExportError - it does not hold what the manifest says.
 */
export async function readItems(manifest, packed) {
    const { file, count, columns } = manifest.items;
    const wrong = (what) => new ExportError(what, `the file '${file}'`, EXPORT_AGAIN);
    let content;
    try {
        content = JSON.parse(new TextDecoder().decode(await gunzip(packed, file)));
    }
    catch (error) {
        throw error instanceof ExportError ? error : wrong("the item table is not JSON");
    }
    const ids = sums(content?.id_steps) ?? content?.ids;
    if (!Array.isArray(ids) || ids.length !== count)
        throw wrong(`the item table has not ${count} ids`);
    if (ids.some((id) => typeof id !== "string" && !Number.isFinite(id)))
        throw wrong("an id is neither text nor a number");
    const read = new Map();
    for (const name of columns.keys()) {
        const values = content?.columns?.[name];
        if (!Array.isArray(values) || values.length !== count)
            throw wrong(`the column '${name}' has not ${count} values`);
        read.set(name, values);
    }
    return new ItemTable(ids, columns, read);
}
