// The service worker, which makes the page work without a network, and new versions.
import { at } from "./dom.js";
const HOUR = 3_600_000;
/** Keeps all files for later, and offers a new version when it has arrived whole. */
export async function keepOffline(state) {
    if (!("serviceWorker" in navigator))
        return;
    let wanted = false;
    navigator.serviceWorker.addEventListener("controllerchange", () => { if (wanted)
        location.reload(); });
    const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
    const look = () => {
        if (registration.waiting && navigator.serviceWorker.controller)
            offer(registration.waiting);
        if (registration.active)
            state("Works without a network: everything is on this device.");
    };
    const offer = (waiting) => {
        at("update").hidden = false;
        at("use").onclick = () => { wanted = true; waiting.postMessage("use"); };
    };
    const follow = (worker) => {
        worker?.addEventListener("statechange", look);
    };
    registration.addEventListener("updatefound", () => follow(registration.installing));
    follow(registration.installing);
    look();
    const ask = () => { registration.update().catch(() => undefined); }; // without a network there is nothing new
    setInterval(ask, HOUR);
    addEventListener("online", ask);
}
/** Says when the network is gone. */
export function showNetwork() {
    const show = () => { at("offline").hidden = navigator.onLine; };
    addEventListener("online", show);
    addEventListener("offline", show);
    show();
}
/** Offers to install the page where the browser can. */
export function offerInstall() {
    const button = at("install");
    addEventListener("beforeinstallprompt", (event) => {
        event.preventDefault();
        button.hidden = false;
        button.onclick = () => { button.hidden = true; void event.prompt(); };
    });
    addEventListener("appinstalled", () => { button.hidden = true; });
}
