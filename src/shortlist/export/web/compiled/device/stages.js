// The rules after the ranker, as manifest.json names them.
import { flag, number, oneOf, text, whole } from "./reading.js";
const KINDS = ["Exclude", "Boost", "Freshness", "Diversity", "Cap"];
const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
/** Checks one rule. */
export function readStage(fields) {
    const kind = oneOf(fields, "kind", KINDS);
    switch (kind) {
        case "Exclude":
            return { kind, table: fields.get("table") == null ? null : text(fields, "table"), seen: flag(fields, "seen", false) };
        case "Boost":
            return { kind, table: text(fields, "table"), by: number(fields, "by", 0.2), how: oneOf(fields, "how", ["multiply", "add"], "multiply") };
        case "Freshness":
            return { kind, halfLife: duration(fields), strength: number(fields, "strength", 0.5, 0, 1), column: text(fields, "column") };
        case "Diversity":
            return {
                kind,
                strength: number(fields, "strength", 0.3, 0, 1),
                method: oneOf(fields, "method", ["mmr", "dpp"], "mmr"),
                by: fields.get("by") == null ? null : text(fields, "by"),
            };
        case "Cap":
            return { kind, column: text(fields, "column"), atMost: whole(fields, "at_most", 1), fill: flag(fields, "fill", true) };
    }
}
function duration(fields) {
    const value = fields.get("half_life") ?? "30d";
    const parts = /^\s*0*([1-9][0-9]*)\s*([smhdw])\s*$/.exec(String(value));
    if (!parts)
        throw fields.wrong("half_life", value);
    return Number(parts[1]) * SECONDS[parts[2]];
}
