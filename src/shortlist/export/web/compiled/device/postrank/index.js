// The rules after the ranker, one after another.
import { diversify } from "./diversity.js";
import { boost, cap, exclude, freshen } from "./rules.js";
/** What a rule makes of a list. */
export function applyStage(candidates, stage, scene) {
    switch (stage.kind) {
        case "Exclude": return exclude(candidates, stage, scene);
        case "Boost": return boost(candidates, stage, scene);
        case "Freshness": return freshen(candidates, stage, scene);
        case "Diversity": return diversify(candidates, stage, scene);
        case "Cap": return cap(candidates, stage, scene);
    }
}
