// Files of an export, each fetched whole and compared with its checksum.
import { ExportError, FETCH_AGAIN } from "./errors.js";
import { readManifest } from "./manifest.js";
/** Longer than any manifest. */
const LONGEST_MANIFEST = 4 << 20;
/**
 * Fetches and checks manifest.json.
 *
 * @param base - the folder's address, which ends with a slash.
 */
export async function fetchManifest(base) {
    const url = new URL("manifest.json", base);
    const bytes = await fetchBytes(url, "manifest.json", "no-cache"); // an older one would name files that are gone
    if (bytes.length > LONGEST_MANIFEST)
        throw new ExportError("manifest.json is too long", url.href, FETCH_AGAIN);
    return readManifest(new TextDecoder().decode(bytes), url.href);
}
/**
 * Fetches files and checks them.
 *
 * @param base - the folder's address, which ends with a slash.
 * @param files - from the manifest.
 * @returns their content by name.
 * @throws ExportError - one is missing, short or damaged; it is named.
 */
export async function fetchFiles(base, files) {
    if (!globalThis.crypto?.subtle) {
        throw new ExportError("checksums cannot be computed on this page", base.href, "serve it over https, or from localhost");
    }
    const found = await Promise.all([...files].map(async ([name, entry]) => [name, await fetchFile(new URL(entry.path, base), name, entry)]));
    return new Map(found);
}
async function fetchFile(url, name, entry) {
    const bytes = await fetchBytes(url, name);
    if (bytes.length !== entry.bytes) {
        throw new ExportError(`the file '${name}' has ${bytes.length} of ${entry.bytes} bytes`, url.href, FETCH_AGAIN);
    }
    if ((await sha256(bytes)) !== entry.sha256) {
        throw new ExportError(`the file '${name}' is damaged: its checksum differs`, url.href, FETCH_AGAIN);
    }
    return bytes;
}
/** The SHA-256 of some bytes, in hexadecimal. */
export async function sha256(bytes) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
/** Fetches anything, or says why not. */
export async function fetchBytes(url, name, cache = "default") {
    let answer;
    try {
        answer = await fetch(url, { cache });
        if (answer.ok)
            return new Uint8Array(await answer.arrayBuffer());
    }
    catch (error) {
        throw new ExportError(`the file '${name}' cannot be fetched: ${error.message}`, url.href, "check the network, then fetch it again");
    }
    throw new ExportError(`the file '${name}' is missing: the server answers ${answer.status}`, url.href, FETCH_AGAIN);
}
/** Unpacks a gzip file. */
export async function gunzip(bytes, name) {
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    try {
        return new Uint8Array(await new Response(unpacked).arrayBuffer());
    }
    catch {
        throw new ExportError(`the file '${name}' cannot be unpacked`, "", FETCH_AGAIN);
    }
}
