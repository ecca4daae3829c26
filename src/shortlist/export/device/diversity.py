"""Lists whose items do not all resemble each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.candidates import Candidates
from shortlist.export.device.inputs import Request
from shortlist.export.device.rules import Numbers, unit_scores
from shortlist.export.tables import Float32Array

# The same as shortlist.postrank.diversity has, where they are explained.
COPY = 1e-10
GAIN_STEPS = 2.0**30

Similarity = Callable[[int], Numbers]


def diversify(
    candidates: Candidates,
    request: Request,
    *,
    strength: float,
    method: str,
    vectors: Float32Array | None,
    tags: list[tuple[object, ...]] | None,
) -> Candidates:
    """Pick the first items relevant and unlike each other; as `shortlist.postrank.Diversity`.

    Args:
        candidates: the list.
        request: says how many are picked.
        strength: from 0 to 1.
        method: `"mmr"` or `"dpp"`.
        vectors: `[rows, dim]` to compare by, or None.
        tags: the distinct values of each item, of row 1 first, to compare by where there are no vectors.

    Source: Carbonell and Goldstein (SIGIR 1998); Chen et al. (NeurIPS 2018).
    """
    if strength == 0 or len(candidates) == 0:
        return candidates
    if vectors is not None:
        units = normalized(vectors[candidates.rows])
        similarity: Similarity = partial(cosine, units, shifted=method == "dpp")
    else:
        assert tags is not None  # one of the two is given; see stages.py
        similarity = jaccard([tags[row - 1] for row in candidates.rows.tolist()])
    pick = pick_mmr if method == "mmr" else pick_dpp
    picked = pick(
        unit_scores(candidates), similarity, strength=strength, picks=min(request.size, len(candidates))
    )
    rest = np.ones(len(candidates), dtype=np.bool_)
    rest[picked] = False
    return candidates.take(np.concatenate([picked, np.flatnonzero(rest)]))


def pick_mmr(relevance: Numbers, similarity: Similarity, *, strength: float, picks: int) -> NDArray[np.int64]:
    """Greedy maximal marginal relevance.

    Args:
        relevance: `[n]` in [0, 1].
        similarity: of a place to all.
        strength: in (0, 1].
        picks: at most `n`.

    Returns:
        `[picks]` places.
    """
    gain, nearest = (1 - strength) * relevance, np.zeros(len(relevance))
    picked = np.empty(picks, np.int64)
    for step in range(picks):
        steps = np.round((gain - strength * nearest) * GAIN_STEPS)
        steps[picked[:step]] = -np.inf
        picked[step] = steps.argmax()
        np.maximum(nearest, similarity(int(picked[step])), out=nearest)
    return picked


def pick_dpp(relevance: Numbers, similarity: Similarity, *, strength: float, picks: int) -> NDArray[np.int64]:
    """Greedy maximum a posteriori of a determinantal point process; see `pick_mmr`."""
    rest = np.ones(len(relevance))  # squared diagonal of the Cholesky factor: what is not explained yet
    factor = np.zeros((len(relevance), picks))
    free = np.ones(len(relevance), dtype=np.bool_)
    picked = np.empty(picks, np.int64)
    for step in range(picks):
        gain = (1 - strength) * relevance + strength * np.log(np.maximum(rest, COPY))
        place = int(np.where(free, np.round(gain * GAIN_STEPS), -np.inf).argmax())
        picked[step], free[place] = place, False
        own, known = rest[place], factor[:, :step] @ factor[place, :step]
        if own > COPY:  # a copy adds no direction
            entry = np.where(free, (similarity(place) - known) / np.sqrt(own), 0.0)
            factor[:, step] = entry
            rest = rest - entry**2
        factor[place, step] = np.sqrt(max(own, 0.0))
    return picked


def normalized(vectors: Float32Array) -> Float32Array:
    """Rows of length one; a row of zeros stays."""
    lengths = np.sqrt(np.einsum("rd,rd->r", vectors, vectors))[:, None]
    units: Float32Array = vectors / np.maximum(lengths, np.float32(1e-12))
    return units


def cosine(units: Float32Array, place: int, *, shifted: bool) -> Numbers:
    """`[n]` similarities in [0, 1] of one row to all.

    Args:
        units: `[n, dim]` of length one.
        place: of the one.
        shifted: `(1 + cosine) / 2`, which a determinant needs; otherwise `max(cosine, 0)`.
    """
    found = (units @ units[place]).astype(np.float64)
    similar: Numbers = np.clip((1 + found) / 2 if shifted else found, 0.0, 1.0)
    return similar


def jaccard(tags: list[tuple[object, ...]]) -> Similarity:
    """Values in common over values in either; an item without a value resembles nothing.

    Args:
        tags: the distinct values of each candidate.
    """
    numbers: dict[object, int] = {}
    values = np.array([numbers.setdefault(value, len(numbers)) for row in tags for value in row], np.int64)
    counts = np.array([len(row) for row in tags], np.int64)
    owner = np.repeat(np.arange(len(tags)), counts)

    def similarity(place: int) -> Numbers:
        marked = np.zeros(len(numbers), dtype=np.bool_)
        marked[values[owner == place]] = True
        common = np.bincount(owner, marked[values], minlength=len(tags))
        shares: Numbers = common / np.maximum(counts + counts[place] - common, 1)
        return shares

    return similarity
