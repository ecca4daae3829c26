// shortlist in a browser: `const device = await load("model/"); await device.recommend(history, { k: 12 })`.
export { Device, load } from "./device.js";
export { ExportError, RequestError, ShortlistError } from "./errors.js";
