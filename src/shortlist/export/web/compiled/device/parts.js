// The parts of an export, fetched, checked and ready to use.
import { EXPORT_AGAIN, ExportError } from "./errors.js";
import { fetchFiles, fetchManifest } from "./files.js";
import { readItems } from "./items.js";
import { Model, startRuntime } from "./runtime.js";
import { decodeTable, unitRows } from "./tables.js";
/**
 * Fetches an export whole.
 *
 * @param base - the folder's address, which ends with a slash.
 * @throws ExportError - it is missing, incomplete, damaged, foreign or newer; the file is named.
 */
export async function fetchParts(base, options) {
    const manifest = await fetchManifest(base);
    const models = namesOfModels(manifest);
    const [files, ort] = await Promise.all([fetchFiles(base, manifest.files), models.length ? startRuntime(options) : null]);
    const items = await readItems(manifest, files.get(manifest.items.file));
    const tables = readTables(manifest, files);
    checkColumns(manifest, base.href);
    const opened = new Map();
    for (const name of models)
        opened.set(name, await Model.open(ort, name, files.get(name)));
    const { diversityTable } = manifest;
    let units;
    return {
        manifest, items, tables, models: opened,
        units: () => (diversityTable === null ? null : (units ??= unitRows(tables.get(diversityTable)))),
    };
}
function namesOfModels({ retrieve, rank }) {
    const models = retrieve.flatMap((each) => (each.kind === "nearest" ? [each.model] : []));
    return [...new Set(rank ? [...models, rank.model] : models)];
}
/** Decodes each file once, whichever tables it stands for. */
function readTables(manifest, files) {
    const decoded = new Map(), tables = new Map();
    for (const [name, entry] of manifest.tables) {
        const key = `${entry.file} ${entry.encoding} ${entry.dim}`;
        const table = decoded.get(key) ?? decodeTable(name, entry, files.get(entry.file));
        decoded.set(key, table);
        tables.set(name, table);
    }
    return tables;
}
/** The rules' columns must be in the item table. */
function checkColumns(manifest, where) {
    for (const stage of manifest.postrank) {
        const column = stage.kind === "Diversity" ? stage.by : "column" in stage ? stage.column : null;
        if (column !== null && !manifest.items.columns.has(column)) {
            throw new ExportError(`${stage.kind} names the column '${column}', which the item table lacks`, where, EXPORT_AGAIN);
        }
        if (stage.kind === "Diversity" && stage.by === null && manifest.diversityTable === null) {
            throw new ExportError("Diversity has no vectors to compare items by", where, EXPORT_AGAIN);
        }
    }
}
