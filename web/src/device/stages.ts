// The rules after the ranker, as manifest.json names them.

import { flag, number, oneOf, text, whole, type Fields } from "./reading.js";

/** Drops items: those with a value above 0 in a table, or those of the history. */
export interface Exclude {
  readonly kind: "Exclude";
  readonly table: string | null;
  readonly seen: boolean;
}

/** Rescores by a table of values in [0, 1]. */
export interface Boost {
  readonly kind: "Boost";
  readonly table: string;
  readonly by: number;
  readonly how: "multiply" | "add";
}

/** Rescores by age. */
export interface Freshness {
  readonly kind: "Freshness";
  /** In seconds. */
  readonly halfLife: number;
  readonly strength: number;
  readonly column: string;
}

/** Picks items that are unlike each other. */
export interface Diversity {
  readonly kind: "Diversity";
  readonly strength: number;
  readonly method: "mmr" | "dpp";
  readonly by: string | null;
}

/** Keeps a few items for each value of a column. */
export interface Cap {
  readonly kind: "Cap";
  readonly column: string;
  readonly atMost: number;
  readonly fill: boolean;
}

export type Stage = Exclude | Boost | Freshness | Diversity | Cap;

const KINDS = ["Exclude", "Boost", "Freshness", "Diversity", "Cap"] as const;
const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;

/** Checks one rule. */
export function readStage(fields: Fields): Stage {
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

function duration(fields: Fields): number {
  const value = fields.get("half_life") ?? "30d";
  const parts = /^\s*0*([1-9][0-9]*)\s*([smhdw])\s*$/.exec(String(value));
  if (!parts) throw fields.wrong("half_life", value);
  return Number(parts[1]) * SECONDS[parts[2] as keyof typeof SECONDS];
}
