"""Lists that users were shown, as a store keeps them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

FIELDS = 'id, "user", time, experiment, arm, probability, bundle, shown, content'  # of a row, in SQL


@dataclass(frozen=True, slots=True)
class Exposure:
    """A list that a user was shown in an experiment, or that a shadow would have shown.

    Args:
        id: of the exposure; the same id twice is the same exposure.
        user: the user's id.
        time: seconds since 1970.
        experiment: its name.
        arm: of the experiment, or the shadow.
        probability: that this user's list came from this arm; for a shadow, that the shadow was asked.
        bundle: that answered.
        items: the list, best first.
        scores: of the items; what is not finite comes back from a store as NaN.
        shown: whether the user was shown the list.
        context: of the request.
    """

    id: str
    user: str
    time: int
    experiment: str
    arm: str
    probability: float
    bundle: str
    items: tuple[str, ...]
    scores: tuple[float, ...]
    shown: bool = True
    context: dict[str, Any] = field(default_factory=dict)


def to_row(exposure: Exposure) -> tuple[str, str, int, str, str, float, str, int, str]:
    """An exposure as `FIELDS`; the list and the context are JSON."""
    each = exposure
    # A ranker that has gone astray must not cost the note that a user was shown its list.
    scores = [score if math.isfinite(score) else None for score in each.scores]
    content = json.dumps([each.items, scores, each.context], separators=(",", ":"), allow_nan=False)
    facts = (each.id, each.user, each.time, each.experiment, each.arm, each.probability, each.bundle)
    return *facts, int(each.shown), content


def from_row(row: Sequence[Any]) -> Exposure:
    """The reverse of `to_row`."""
    (id_, user, time, experiment, arm, probability, bundle, shown, content) = row
    items, scores, context = json.loads(content)
    return Exposure(
        id_,
        user,
        time,
        experiment,
        arm,
        probability,
        bundle,
        tuple(items),
        tuple(math.nan if score is None else score for score in scores),
        bool(shown),
        context,
    )
