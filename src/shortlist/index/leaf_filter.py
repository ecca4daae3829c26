"""Filters in an approximate index: which parts to search, and with what effort."""

from __future__ import annotations

import threading

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.filters import evaluate_where
from shortlist.index.leaf_state import LeafState
from shortlist.kernels.leaves import Part

# Copying the allowed vectors' codes pays when a search would otherwise read mostly what is not allowed.
CONDENSE_BELOW = 0.5
REMEMBERED = 8
# The fewer are allowed, the larger the share of them that must be looked at: the best of a sample lie farther
# out, as its square root.
SHARE_EXPONENT = 0.5
# So few allowed vectors are all looked at.
AT_LEAST = 2048


def filtered(state: LeafState, mask: NDArray[np.bool_], *, condense: bool) -> tuple[list[Part], float]:
    """The parts of a state with a filter applied.

    Args:
        state: what is searched.
        mask: `[slots]` bool.
        condense: whether the allowed vectors' codes may be copied, for many queries to come.

    Returns:
        The parts that hold allowed vectors, and the share of the base's vectors that are allowed.
    """
    base = state.base.where(mask)
    share = base.live / max(state.base.live, 1)
    if condense and share < CONDENSE_BELOW:
        base = base.condensed()
    return [part for part in (base, *(part.where(mask) for part in state.fresh)) if part.live], share


def scaled_effort(effort: float, share: float, live: int) -> float:
    """The effort for a filter that allows a share of the vectors, in allowed vectors to look at.

    Args:
        effort: that the same recall needs without a filter.
        share: of the vectors that are allowed.
        live: how many vectors there are in the base.
    """
    return min(max(effort * share**SHARE_EXPONENT, AT_LEAST), share * live) if share < 1 else effort


class FilterCache:
    """The last predicates and what they left of the parts; a serving process asks the same few again."""

    def __init__(self) -> None:
        self._state: LeafState | None = None
        self._found: dict[bytes, tuple[list[Part], float]] = {}
        self._lock = threading.Lock()

    def get(self, state: LeafState, where: pl.Expr) -> tuple[list[Part], float]:
        """The parts of a state with a predicate over the item table applied, as `filtered` gives them."""
        key = where.meta.serialize()
        with self._lock:
            if self._state is not state:
                self._state, self._found = state, {}
            known = self._found.get(key)
        if known is not None:
            return known
        made = filtered(state, evaluate_where(where, state.roster.items), condense=True)
        with self._lock:
            if self._state is state:
                while len(self._found) >= REMEMBERED:
                    self._found.pop(next(iter(self._found)))
                self._found[key] = made
        return made
