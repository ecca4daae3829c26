// What manifest.json of an export says. It comes from a server, so nothing in it is taken on trust.
import { EXPORT_AGAIN, ExportError } from "./errors.js";
import { readStage } from "./stages.js";
import { flag, object, oneOf, optional, text, whole } from "./reading.js";
/** The newest format that this runtime reads. */
export const FORMAT = 1;
/** More items than the keys of the selection can tell apart. */
const MOST_ITEMS = 2 ** 21 - 1;
const ENCODINGS = ["float32", "float16", "int8", "int4"];
const COLUMN_KINDS = ["text", "tags", "number", "boolean", "timestamp"];
const INPUT_KINDS = ["history", "history_times", "category", "number", "timestamp"];
/**
 * Checks the content of manifest.json.
 *
 * @param content - the text of the file.
 * @param where - its address, for messages.
 * @throws ExportError - it is foreign, newer, or something is missing or of the wrong kind.
 */
export function readManifest(content, where) {
    let parsed;
    try {
        parsed = JSON.parse(content);
    }
    catch {
        throw new ExportError("manifest.json is not JSON", where, EXPORT_AGAIN);
    }
    const fields = object(parsed, "manifest.json", where);
    if (fields.get("kind") !== "shortlist-device") {
        throw new ExportError("it is no export for devices", where, "give the address of what `shortlist export` wrote");
    }
    const format = whole(fields, "format", 1);
    if (format > FORMAT) {
        throw new ExportError(`it has format ${format}, and this runtime reads up to ${FORMAT}`, where, "update the app, or export the bundle again");
    }
    const manifest = readContent(fields);
    checkReferences(manifest, where);
    return manifest;
}
function readContent(fields) {
    const items = fields.at("items");
    return {
        shortlist: text(fields, "shortlist"),
        source: String(fields.get("source") ?? ""),
        files: entries(fields.at("files"), readFile),
        tables: entries(fields.at("tables"), readTable),
        items: {
            file: text(items, "file"),
            count: whole(items, "count", 1, MOST_ITEMS),
            columns: new Map(items.at("columns").names().map((name) => [name, oneOf(items.at("columns"), name, COLUMN_KINDS)])),
        },
        inputs: new Map(fields.each("inputs").map((each) => [text(each, "name"), readInput(each)])),
        retrieve: fields.each("retrieve").map(readRetriever),
        rank: optional(fields, "rank", readRank),
        postrank: fields.each("postrank").map(readStage),
        diversityTable: fields.get("diversity_table") == null ? null : text(fields, "diversity_table"),
        size: whole(fields, "size", 1),
        excludeHistory: fields.get("exclude_history") !== false,
    };
}
function entries(fields, read) {
    return new Map(fields.names().map((name) => [name, read(fields.at(name))]));
}
function readFile(fields) {
    const path = text(fields, "path"), sha256 = text(fields, "sha256");
    const name = /^files\/([0-9a-f]{16})\.[a-z0-9]+$/.exec(path);
    if (!/^[0-9a-f]{64}$/.test(sha256) || name?.[1] !== sha256.slice(0, 16))
        throw fields.wrong("path", path);
    return { path, bytes: whole(fields, "bytes", 0), sha256 };
}
function readTable(fields) {
    return {
        file: text(fields, "file"),
        encoding: oneOf(fields, "encoding", ENCODINGS),
        rows: whole(fields, "rows", 2),
        dim: whole(fields, "dim", 1),
    };
}
function readInput(fields) {
    const name = text(fields, "name"), kind = oneOf(fields, "kind", INPUT_KINDS);
    if (kind === "history")
        return { name, kind, table: text(fields, "table"), length: whole(fields, "length", 1) };
    if (kind === "history_times")
        return { name, kind, length: whole(fields, "length", 1) };
    const column = text(fields, "column");
    if (kind === "number")
        return { name, kind, column };
    if (kind === "timestamp")
        return { name, kind, column, now: flag(fields, "now", false) };
    const values = fields.get("values");
    if (!Array.isArray(values) || !values.every(isId))
        throw fields.wrong("values", values);
    return { name, kind, column, values };
}
const isId = (value) => typeof value === "string" || typeof value === "number";
function readRetriever(fields) {
    const kind = oneOf(fields, "kind", ["nearest", "popular"]);
    const common = { name: text(fields, "name"), k: whole(fields, "k", 1), table: text(fields, "table") };
    return kind === "popular" ? { kind, ...common } : { kind, ...common, model: text(fields, "model"), inputs: names(fields, "inputs") };
}
function readRank(fields) {
    return {
        model: text(fields, "model"),
        keep: whole(fields, "keep", 1),
        inputs: names(fields, "inputs"),
        table: fields.get("table") == null ? null : text(fields, "table"),
        scores: names(fields, "scores"),
        calibrated: flag(fields, "calibrated", false),
    };
}
function names(fields, field) {
    const value = fields.get(field) ?? [];
    if (!Array.isArray(value) || value.some((each) => typeof each !== "string"))
        throw fields.wrong(field, value);
    return value;
}
/** Every name that is used must be the name of something. */
function checkReferences(manifest, where) {
    const { tables, files, inputs } = manifest;
    const check = (known, name, kind, user) => {
        if (!known.has(name))
            throw new ExportError(`${user} names the ${kind} '${name}', which is not there`, where, EXPORT_AGAIN);
    };
    check(files, manifest.items.file, "file", "items");
    for (const [name, table] of tables) {
        check(files, table.file, "file", `the table '${name}'`);
        if (table.rows !== manifest.items.count + 1) {
            throw new ExportError(`the table '${name}' has ${table.rows} rows for ${manifest.items.count} items`, where, EXPORT_AGAIN);
        }
    }
    for (const input of inputs.values()) {
        if (input.kind === "history")
            check(tables, input.table, "table", `the input '${input.name}'`);
    }
    for (const each of manifest.retrieve)
        check(tables, each.table, "table", `the retriever '${each.name}'`);
    for (const each of manifest.postrank)
        if ("table" in each && each.table)
            check(tables, each.table, "table", each.kind);
    if (manifest.diversityTable !== null)
        check(tables, manifest.diversityTable, "table", "diversity_table");
    if (manifest.rank?.table)
        check(tables, manifest.rank.table, "table", "the ranker");
    const models = [...manifest.retrieve.filter((each) => each.kind === "nearest"), ...(manifest.rank ? [manifest.rank] : [])];
    for (const model of models) {
        check(files, model.model, "file", "a model");
        for (const name of model.inputs)
            check(inputs, name, "input", `the model '${model.model}'`);
    }
    if (manifest.retrieve.length === 0)
        throw new ExportError("it has no retriever", where, EXPORT_AGAIN);
    const retrievers = new Map(manifest.retrieve.map((each) => [each.name, each]));
    for (const name of manifest.rank?.scores ?? [])
        check(retrievers, name, "retriever", "the ranker");
}
