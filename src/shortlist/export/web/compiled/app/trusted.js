// Which scripts the page may start: its own. The Content-Security-Policy asks for this policy by name.
/** Lets workers be started from this folder alone. */
export function trustOwnScripts() {
    const factory = globalThis.trustedTypes;
    const folder = new URL("./", location.href).href;
    factory?.createPolicy("default", {
        createScriptURL: (text) => {
            if (new URL(text, folder).href.startsWith(folder))
                return text;
            throw new TypeError(`the script ${text} is not this page's`);
        },
    });
}
