// Fields of JSON that may hold anything.

import { EXPORT_AGAIN, ExportError } from "./errors.js";

/** An object of JSON, and where it stands, for messages. */
export class Fields {
  constructor(
    private readonly content: Readonly<Record<string, unknown>>,
    private readonly path: string,
    private readonly where: string,
  ) {}

  names(): string[] {
    return Object.keys(this.content);
  }

  get(name: string): unknown {
    return Object.hasOwn(this.content, name) ? this.content[name] : undefined;
  }

  /** An object within this one. */
  at(name: string): Fields {
    return object(this.get(name), `${this.path}: ${name}`, this.where);
  }

  /** What to throw for a field. */
  wrong(name: string, value: unknown): ExportError {
    return refusal(`${this.path}: ${name}`, value, this.where);
  }

  /** The objects of a list. */
  each(name: string): Fields[] {
    const value = this.get(name);
    if (!Array.isArray(value)) throw this.wrong(name, value);
    return value.map((each, number) => object(each, `${this.path}: ${name}[${number}]`, this.where));
  }
}

/** Takes a value for an object. */
export function object(value: unknown, path: string, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refusal(path, value, where);
  return new Fields(value as Record<string, unknown>, path, where);
}

/** What `read` makes of an object, or null where there is none. */
export const optional = <T>(fields: Fields, name: string, read: (each: Fields) => T): T | null =>
  fields.get(name) == null ? null : read(fields.at(name));

/** A text that is not empty. */
export function text(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (typeof value !== "string" || value === "") throw fields.wrong(name, value);
  return value;
}

/** A whole number between two others. */
export function whole(fields: Fields, name: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = fields.get(name);
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) throw fields.wrong(name, value);
  return value as number;
}

/** A finite number between two others, or what to take where there is none. */
export function number(fields: Fields, name: string, given: number, least = -Infinity, most = Infinity): number {
  const value = fields.get(name) ?? given;
  if (typeof value !== "number" || !Number.isFinite(value) || value < least || value > most) throw fields.wrong(name, value);
  return value;
}

/** Yes or no, or what to take where it is not said. */
export function flag(fields: Fields, name: string, given: boolean): boolean {
  const value = fields.get(name) ?? given;
  if (typeof value !== "boolean") throw fields.wrong(name, value);
  return value;
}

/** One of some texts. */
export function oneOf<const T extends string>(fields: Fields, name: string, choices: readonly T[], given?: T): T {
  const value = fields.get(name) ?? given;
  if (!choices.includes(value as T)) throw fields.wrong(name, value);
  return value as T;
}

function refusal(path: string, value: unknown, where: string): ExportError {
  const shown = value === undefined ? "missing" : JSON.stringify(value).slice(0, 60);
  return new ExportError(`${path} is ${shown}`, where, EXPORT_AGAIN);
}
