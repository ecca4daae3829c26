"""What must not be shown, what should be shown more, and what is too old: rescoring and dropping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.candidates import Candidates
from shortlist.export.device.inputs import Request
from shortlist.export.device.items import Mask

Numbers = NDArray[np.float64]


def unit_scores(candidates: Candidates) -> Numbers:
    """Scores brought to [0, 1] within the list; 1 for all where all are equal.

    Returns:
        `[n]` float64.
    """
    scores = candidates.scores.astype(np.float64)
    spread = float(np.ptp(scores)) if len(scores) else 0.0
    return (scores - scores.min()) / spread if spread > 0 else np.ones_like(scores)


def rescored(candidates: Candidates, utility: Numbers) -> Candidates:
    """Sorted by a new score; equal ones keep the order they came in.

    Args:
        candidates: the list.
        utility: `[n]`.
    """
    order = np.argsort(-utility, kind="stable")
    return Candidates(candidates.rows[order], utility[order].astype(np.float32))


def exclude(candidates: Candidates, request: Request, *, blocked: Mask | None, seen: bool) -> Candidates:
    """Drop items; as `shortlist.postrank.Exclude`.

    Args:
        candidates: the list.
        request: whose history is dropped too with `seen`.
        blocked: `[rows]`, which rows are never shown, or None.
        seen: whether the history is dropped.
    """
    dropped = np.zeros(len(candidates), np.bool_) if blocked is None else blocked[candidates.rows]
    if seen:
        dropped |= np.isin(candidates.rows, request.history)
    return candidates.take(~dropped)


def boost(candidates: Candidates, request: Request, *, strengths: Numbers, by: float, how: str) -> Candidates:
    """Lift some items and sort again; as `shortlist.postrank.Boost`.

    Args:
        candidates: the list.
        request: not looked at.
        strengths: `[rows]` in [0, 1].
        by: the lift at a strength of 1.
        how: `"multiply"` or `"add"`.
    """
    if by == 0:
        return candidates
    lift, scores = by * strengths[candidates.rows], unit_scores(candidates)
    return rescored(candidates, scores * (1 + lift) if how == "multiply" else scores + lift)


def freshen(
    candidates: Candidates, request: Request, *, seconds: Numbers, half_life: int, strength: float
) -> Candidates:
    """Rescore by age and sort again; as `shortlist.postrank.Freshness`.

    Args:
        candidates: the list.
        request: whose moment the ages are measured at.
        seconds: `[rows]` the items' times, NaN where there is none.
        half_life: seconds.
        strength: from 0 to 1.
    """
    if strength == 0 or len(candidates) == 0:
        return candidates
    dates = seconds[candidates.rows]
    dated = ~np.isnan(dates) & (request.now != 0)
    decay = np.exp2(-np.maximum(request.now - dates, 0.0) / half_life)
    # A gap in the table neither lifts an item above the dated ones nor buries it.
    decay = np.where(dated, decay, decay[dated].mean() if dated.any() else 1.0)
    return rescored(candidates, unit_scores(candidates) * ((1 - strength) + strength * decay))


def cap(
    candidates: Candidates, request: Request, *, tags: list[tuple[object, ...]], at_most: int, fill: bool
) -> Candidates:
    """Keep at most some items of each value; as `shortlist.postrank.Cap`.

    Args:
        candidates: the list.
        request: not looked at.
        tags: the distinct values of each item, of row 1 first.
        at_most: items for each value.
        fill: whether the others follow behind; otherwise they are dropped.
    """
    counts: dict[object, int] = {}
    kept = np.ones(len(candidates), dtype=np.bool_)
    for place, row in enumerate(candidates.rows.tolist()):
        values = tags[row - 1]
        if any(counts.get(value, 0) >= at_most for value in values):
            kept[place] = False
        else:
            for value in values:
                counts[value] = counts.get(value, 0) + 1
    if not fill:
        return candidates.take(kept)
    return candidates.take(np.concatenate([np.flatnonzero(kept), np.flatnonzero(~kept)]))
