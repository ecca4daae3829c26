// What manifest.json of an export says. It comes from a server, so nothing in it is taken on trust.

import { EXPORT_AGAIN, ExportError } from "./errors.js";
import { readStage, type Stage } from "./stages.js";
import { flag, object, oneOf, optional, text, whole, type Fields } from "./reading.js";

/** The newest format that this runtime reads. */
export const FORMAT = 1;

/** More items than the keys of the selection can tell apart. */
const MOST_ITEMS = 2 ** 21 - 1;

const ENCODINGS = ["float32", "float16", "int8", "int4"] as const;
const COLUMN_KINDS = ["text", "tags", "number", "boolean", "timestamp"] as const;
const INPUT_KINDS = ["history", "history_times", "category", "number", "timestamp"] as const;

export type Encoding = (typeof ENCODINGS)[number];
export type ColumnKind = (typeof COLUMN_KINDS)[number];

/** A file of the export: where it lies, how long it is and what its content hashes to. */
export interface FileEntry {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A matrix with one row an item; row 0 is the unknown item's. */
export interface TableEntry {
  readonly file: string;
  readonly encoding: Encoding;
  readonly rows: number;
  readonly dim: number;
}

/** What a model reads beside the candidates. */
export type InputEntry =
  | { readonly name: string; readonly kind: "history"; readonly table: string; readonly length: number }
  | { readonly name: string; readonly kind: "history_times"; readonly length: number }
  | { readonly name: string; readonly kind: "category"; readonly column: string; readonly values: readonly (string | number)[] }
  | { readonly name: string; readonly kind: "number"; readonly column: string }
  /** `now`: whether the moment of the request stands in where the context gives none. */
  | { readonly name: string; readonly kind: "timestamp"; readonly column: string; readonly now: boolean };

/** A way to find candidates. */
export type RetrieverEntry =
  | {
      readonly kind: "nearest";
      readonly name: string;
      readonly k: number;
      readonly model: string;
      readonly inputs: readonly string[];
      readonly table: string;
    }
  | { readonly kind: "popular"; readonly name: string; readonly k: number; readonly table: string };

/** The model that orders the candidates. */
export interface RankEntry {
  readonly model: string;
  readonly keep: number;
  readonly inputs: readonly string[];
  /** What it reads of each candidate; null where it reads scores alone. */
  readonly table: string | null;
  readonly scores: readonly string[];
  /** Whether a second output takes the scores' place for the stages after. */
  readonly calibrated: boolean;
}

/** A whole export. */
export interface Manifest {
  readonly shortlist: string;
  readonly source: string;
  readonly files: ReadonlyMap<string, FileEntry>;
  readonly tables: ReadonlyMap<string, TableEntry>;
  readonly items: { readonly file: string; readonly count: number; readonly columns: ReadonlyMap<string, ColumnKind> };
  readonly inputs: ReadonlyMap<string, InputEntry>;
  readonly retrieve: readonly RetrieverEntry[];
  readonly rank: RankEntry | null;
  readonly postrank: readonly Stage[];
  readonly diversityTable: string | null;
  readonly size: number;
  readonly excludeHistory: boolean;
}

/**
 * Checks the content of manifest.json.
 *
 * @param content - the text of the file.
 * @param where - its address, for messages.
 * @throws ExportError - it is foreign, newer, or something is missing or of the wrong kind.
 */
export function readManifest(content: string, where: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch {
    throw new ExportError("manifest.json is not JSON", where, EXPORT_AGAIN);
  }
  const fields = object(parsed, "manifest.json", where);
  if (fields.get("kind") !== "shortlist-device") {
    throw new ExportError("it is no export for devices", where, "give the address of what `shortlist export` wrote");
  }
  const format = whole(fields, "format", 1);
  if (format > FORMAT) {
    throw new ExportError(
      `it has format ${format}, and this runtime reads up to ${FORMAT}`, where, "update the app, or export the bundle again",
    );
  }
  const manifest = readContent(fields);
  checkReferences(manifest, where);
  return manifest;
}

function readContent(fields: Fields): Manifest {
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

function entries<T>(fields: Fields, read: (each: Fields) => T): Map<string, T> {
  return new Map(fields.names().map((name) => [name, read(fields.at(name))]));
}

function readFile(fields: Fields): FileEntry {
  const path = text(fields, "path"), sha256 = text(fields, "sha256");
  const name = /^files\/([0-9a-f]{16})\.[a-z0-9]+$/.exec(path);
  if (!/^[0-9a-f]{64}$/.test(sha256) || name?.[1] !== sha256.slice(0, 16)) throw fields.wrong("path", path);
  return { path, bytes: whole(fields, "bytes", 0), sha256 };
}

function readTable(fields: Fields): TableEntry {
  return {
    file: text(fields, "file"),
    encoding: oneOf(fields, "encoding", ENCODINGS),
    rows: whole(fields, "rows", 2),
    dim: whole(fields, "dim", 1),
  };
}

function readInput(fields: Fields): InputEntry {
  const name = text(fields, "name"), kind = oneOf(fields, "kind", INPUT_KINDS);
  if (kind === "history") return { name, kind, table: text(fields, "table"), length: whole(fields, "length", 1) };
  if (kind === "history_times") return { name, kind, length: whole(fields, "length", 1) };
  const column = text(fields, "column");
  if (kind === "number") return { name, kind, column };
  if (kind === "timestamp") return { name, kind, column, now: flag(fields, "now", false) };
  const values = fields.get("values");
  if (!Array.isArray(values) || !values.every(isId)) throw fields.wrong("values", values);
  return { name, kind, column, values };
}

const isId = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number";

function readRetriever(fields: Fields): RetrieverEntry {
  const kind = oneOf(fields, "kind", ["nearest", "popular"] as const);
  const common = { name: text(fields, "name"), k: whole(fields, "k", 1), table: text(fields, "table") };
  return kind === "popular" ? { kind, ...common } : { kind, ...common, model: text(fields, "model"), inputs: names(fields, "inputs") };
}

function readRank(fields: Fields): RankEntry {
  return {
    model: text(fields, "model"),
    keep: whole(fields, "keep", 1),
    inputs: names(fields, "inputs"),
    table: fields.get("table") == null ? null : text(fields, "table"),
    scores: names(fields, "scores"),
    calibrated: flag(fields, "calibrated", false),
  };
}

function names(fields: Fields, field: string): string[] {
  const value = fields.get(field) ?? [];
  if (!Array.isArray(value) || value.some((each) => typeof each !== "string")) throw fields.wrong(field, value);
  return value as string[];
}

/** Every name that is used must be the name of something. */
function checkReferences(manifest: Manifest, where: string): void {
  const { tables, files, inputs } = manifest;
  const check = (known: ReadonlyMap<string, unknown>, name: string, kind: string, user: string): void => {
    if (!known.has(name)) throw new ExportError(`${user} names the ${kind} '${name}', which is not there`, where, EXPORT_AGAIN);
  };
  check(files, manifest.items.file, "file", "items");
  for (const [name, table] of tables) {
    check(files, table.file, "file", `the table '${name}'`);
    if (table.rows !== manifest.items.count + 1) {
      throw new ExportError(`the table '${name}' has ${table.rows} rows for ${manifest.items.count} items`, where, EXPORT_AGAIN);
    }
  }
  for (const input of inputs.values()) {
    if (input.kind === "history") check(tables, input.table, "table", `the input '${input.name}'`);
  }
  for (const each of manifest.retrieve) check(tables, each.table, "table", `the retriever '${each.name}'`);
  for (const each of manifest.postrank) if ("table" in each && each.table) check(tables, each.table, "table", each.kind);
  if (manifest.diversityTable !== null) check(tables, manifest.diversityTable, "table", "diversity_table");
  if (manifest.rank?.table) check(tables, manifest.rank.table, "table", "the ranker");
  const models = [...manifest.retrieve.filter((each) => each.kind === "nearest"), ...(manifest.rank ? [manifest.rank] : [])];
  for (const model of models) {
    check(files, model.model, "file", "a model");
    for (const name of model.inputs) check(inputs, name, "input", `the model '${model.model}'`);
  }
  if (manifest.retrieve.length === 0) throw new ExportError("it has no retriever", where, EXPORT_AGAIN);
  const retrievers = new Map(manifest.retrieve.map((each) => [each.name, each]));
  for (const name of manifest.rank?.scores ?? []) check(retrievers, name, "retriever", "the ranker");
}
