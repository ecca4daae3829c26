// Fields of JSON that may hold anything.
import { EXPORT_AGAIN, ExportError } from "./errors.js";
/** An object of JSON, and where it stands, for messages. */
export class Fields {
    content;
    path;
    where;
    constructor(content, path, where) {
        this.content = content;
        this.path = path;
        this.where = where;
    }
    names() {
        return Object.keys(this.content);
    }
    get(name) {
        return Object.hasOwn(this.content, name) ? this.content[name] : undefined;
    }
    /** An object within this one. */
    at(name) {
        return object(this.get(name), `${this.path}: ${name}`, this.where);
    }
    /** What to throw for a field. */
    wrong(name, value) {
        return refusal(`${this.path}: ${name}`, value, this.where);
    }
    /** The objects of a list. */
    each(name) {
        const value = this.get(name);
        if (!Array.isArray(value))
            throw this.wrong(name, value);
        return value.map((each, number) => object(each, `${this.path}: ${name}[${number}]`, this.where));
    }
}
/** Takes a value for an object. */
export function object(value, path, where) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
        throw refusal(path, value, where);
    return new Fields(value, path, where);
}
/** What `read` makes of an object, or null where there is none. */
export const optional = (fields, name, read) => fields.get(name) == null ? null : read(fields.at(name));
/** A text that is not empty. */
export function text(fields, name) {
    const value = fields.get(name);
    if (typeof value !== "string" || value === "")
        throw fields.wrong(name, value);
    return value;
}
/** A whole number between two others. */
export function whole(fields, name, least, most = Number.MAX_SAFE_INTEGER) {
    const value = fields.get(name);
    if (!Number.isSafeInteger(value) || value < least || value > most)
        throw fields.wrong(name, value);
    return value;
}
/** A finite number between two others, or what to take where there is none. */
export function number(fields, name, given, least = -Infinity, most = Infinity) {
    const value = fields.get(name) ?? given;
    if (typeof value !== "number" || !Number.isFinite(value) || value < least || value > most)
        throw fields.wrong(name, value);
    return value;
}
/** Yes or no, or what to take where it is not said. */
export function flag(fields, name, given) {
    const value = fields.get(name) ?? given;
    if (typeof value !== "boolean")
        throw fields.wrong(name, value);
    return value;
}
/** One of some texts. */
export function oneOf(fields, name, choices, given) {
    const value = fields.get(name) ?? given;
    if (!choices.includes(value))
        throw fields.wrong(name, value);
    return value;
}
function refusal(path, value, where) {
    const shown = value === undefined ? "missing" : JSON.stringify(value).slice(0, 60);
    return new ExportError(`${path} is ${shown}`, where, EXPORT_AGAIN);
}
