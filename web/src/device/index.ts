// shortlist in a browser: `const device = await load("model/"); await device.recommend(history, { k: 12 })`.

export { Device, load, type Recommendation, type RecommendOptions, type Similar } from "./device.js";
export { ExportError, RequestError, ShortlistError } from "./errors.js";
export type { Event } from "./inputs.js";
export type { Id, ItemTable, Where } from "./items.js";
export type { RuntimeOptions } from "./runtime.js";
export type { Boost, Cap, Diversity, Exclude, Freshness, Stage } from "./stages.js";
