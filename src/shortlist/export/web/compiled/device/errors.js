// What can go wrong, said so that a person can act on it.
/** An error with its three parts: what was wrong, where, and what to do. */
export class ShortlistError extends Error {
    what;
    where;
    remedy;
    constructor(what, where = "", remedy = "") {
        super(what + (where && ` (${where})`) + (remedy && `; ${remedy}`));
        this.what = what;
        this.where = where;
        this.remedy = remedy;
        this.name = new.target.name;
    }
}
/** An export that is damaged, incomplete, foreign or newer than this runtime. */
export class ExportError extends ShortlistError {
}
/** A request that cannot be answered. */
export class RequestError extends ShortlistError {
}
/** What is said of an export whose content makes no sense. */
export const EXPORT_AGAIN = "export the bundle again";
/** What is said of a file that did not arrive as it was exported. */
export const FETCH_AGAIN = "fetch it again, or export the bundle again";
