"use strict";
// The service worker: keeps all files of a release, verified, and answers from them alone.
//
// A new export changes this file, since its list of files stands in it; the browser then installs the new worker beside
// the old one. What did not change is taken from the old release, the rest is fetched, and only when every file is
// there and has its checksum can the new worker take over. Until then, and if anything fails, the old release answers.
const worker = self;
const FAMILY = `shortlist ${worker.registration.scope} `;
const CACHE = FAMILY + RELEASE.version;
const CHECKSUM = "x-shortlist-sha256";
const AT_ONCE = 6;
/** What every answer says beside its content; documents may be shared with nobody, so threads are allowed. */
const HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
};
const urlOf = (path) => new URL(path, worker.registration.scope).href;
worker.addEventListener("install", (event) => event.waitUntil(collect()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("message", (event) => { if (event.data === "use")
    void worker.skipWaiting(); });
worker.addEventListener("fetch", (event) => {
    const url = new URL(event.request.url);
    if (url.origin !== location.origin)
        return event.respondWith(Response.error());
    const path = url.href.split(/[?#]/)[0].slice(worker.registration.scope.length);
    const name = path === "" || event.request.mode === "navigate" ? "index.html" : path;
    if (event.request.method === "GET" && Object.hasOwn(RELEASE.files, name))
        event.respondWith(answer(name));
});
/** Brings all files together; whatever cannot be had or is not what it should be stops the installation. */
async function collect() {
    const cache = await caches.open(CACHE), older = await olderCaches(), waiting = Object.entries(RELEASE.files);
    const work = async () => {
        for (let next = waiting.pop(); next; next = waiting.pop()) {
            const [path, sha256] = next;
            const kept = await keptFile(path, sha256, [cache, ...older]);
            await cache.put(urlOf(path), kept ?? (await fetched(path, sha256)));
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
}
/** A file of an older release, or of an installation that broke off, if it is the same. */
async function keptFile(path, sha256, places) {
    for (const place of places) {
        const found = await place.match(urlOf(path));
        if (found?.headers.get(CHECKSUM) === sha256)
            return found;
    }
    return null;
}
async function fetched(path, sha256) {
    // What the browser remembers may be of an older release; then the server is asked.
    for (const cache of ["default", "reload"]) {
        const found = await fetch(urlOf(path), { cache, credentials: "same-origin" });
        const bytes = await found.arrayBuffer();
        if (found.ok && (await checksum(bytes)) === sha256) {
            const kind = found.headers.get("content-type") ?? "application/octet-stream";
            return new Response(bytes, { headers: { ...HEADERS, "content-type": kind, [CHECKSUM]: sha256 } });
        }
    }
    throw new Error(`${path} is not the file of this release`);
}
async function checksum(bytes) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
async function olderCaches() {
    const names = (await caches.keys()).filter((name) => name.startsWith(FAMILY) && name !== CACHE);
    return Promise.all(names.map((name) => caches.open(name)));
}
/** This release is the one that answers now. */
async function takeOver() {
    for (const name of await caches.keys())
        if (name.startsWith(FAMILY) && name !== CACHE)
            await caches.delete(name);
    await worker.clients.claim();
}
/** A file of this release; fetched again where the browser dropped it. */
async function answer(path) {
    const cache = await caches.open(CACHE), kept = await cache.match(urlOf(path));
    if (kept)
        return kept;
    const found = await fetched(path, RELEASE.files[path]);
    await cache.put(urlOf(path), found.clone());
    return found;
}
