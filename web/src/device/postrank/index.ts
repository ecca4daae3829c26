// The rules after the ranker, one after another.

import type { Candidates } from "../candidates.js";
import type { Stage } from "../stages.js";
import { diversify } from "./diversity.js";
import { boost, cap, exclude, freshen } from "./rules.js";
import type { Scene } from "./scene.js";

/** What a rule makes of a list. */
export function applyStage(candidates: Candidates, stage: Stage, scene: Scene): Candidates {
  switch (stage.kind) {
    case "Exclude": return exclude(candidates, stage, scene);
    case "Boost": return boost(candidates, stage, scene);
    case "Freshness": return freshen(candidates, stage, scene);
    case "Diversity": return diversify(candidates, stage, scene);
    case "Cap": return cap(candidates, stage, scene);
  }
}
