"""Which slot an id has: the index's own numbering, in order of first appearance."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import DataError, UnknownIdError


class SlotTable:
    """Slots of ids. It only grows: an id that is removed and comes back gets its old slot again.

    Readers may therefore look ids up while a writer adds some: what they know stays true.

    Args:
        ids: distinct ids of dtype String or Int64; `ids[i]` has slot `i`.
    """

    def __init__(self, ids: pl.Series) -> None:
        self.holds_integers = ids.dtype == pl.Int64
        self._first = ids
        self._sorted: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._count = len(ids)
        self._slots: dict[Any, int] | None = None
        self._lock = threading.Lock()

    def add(self, ids: pl.Series) -> NDArray[np.int64]:
        """The slots of some ids, those that are new getting the next ones; one writer at a time."""
        self.check_kind(ids)
        slots = self._look_up(ids)
        later = self._later()
        for place in np.flatnonzero(slots < 0):
            slots[place] = later.setdefault(ids[int(place)], self._count)
            self._count = max(self._count, int(slots[place]) + 1)
        return slots

    def find(self, ids: pl.Series, *, below: int) -> NDArray[np.int64]:
        """The slots of some ids, -1 for those that have none below `below`.

        Raises:
            DataError: the ids are strings and the table holds integers, or the reverse.
        """
        if len(ids) == 0:
            return np.zeros(0, np.int64)
        self.check_kind(ids)
        if self.holds_integers:
            return self.find_numbers(ids.to_numpy(), below=below)
        slots = self._look_up(ids)
        slots[slots >= below] = -1
        return slots

    def find_numbers(self, numbers: NDArray[np.int64], *, below: int) -> NDArray[np.int64]:
        """As `find`, for integers that are in an array already; the table holds integers."""
        slots = self._look_up_numbers(numbers)
        slots[slots >= below] = -1
        return slots

    def check_kind(self, ids: pl.Series) -> None:
        """Refuse strings where the table holds integers, and the reverse, with a DataError."""
        if len(ids) and (ids.dtype == pl.Int64) != self.holds_integers:
            kind = "integers" if self.holds_integers else "strings"
            raise DataError(f"ids are {ids.dtype}, the index holds {kind}", remedy=f"pass {kind}")

    def _look_up(self, ids: pl.Series) -> NDArray[np.int64]:
        if not self.holds_integers:
            table = self._later()
            return np.fromiter((table.get(id_, -1) for id_ in ids.to_list()), np.int64, len(ids))
        return self._look_up_numbers(ids.to_numpy())

    def _look_up_numbers(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        slots = self._search(wanted) if self._start is None else self._count_from(self._start, wanted)
        if self._slots:
            missing = np.flatnonzero(slots < 0)
            slots[missing] = [self._slots.get(int(wanted[place]), -1) for place in missing]
        return slots

    @cached_property
    def _start(self) -> int | None:
        return run_start(self._first)

    def _count_from(self, start: int, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        there = (wanted >= start) & (wanted <= start + len(self._first) - 1)
        return np.where(there, wanted - np.int64(start), -1)

    def _search(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        known, slots_of = self._sorted_first()
        slots = np.full(len(wanted), -1, np.int64)
        if len(known):
            places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            there = known[places] == wanted
            slots[there] = slots_of[places[there]]
        return slots

    def _sorted_first(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first ids, ascending, and their slots; made when first needed."""
        with self._lock:
            if self._sorted is None:
                first = self._first.to_numpy()
                order = np.argsort(first, kind="stable")
                self._sorted = first[order], order
            return self._sorted

    def _later(self) -> dict[Any, int]:
        """The ids that came later; of strings all, since a search without exclusions never needs them."""
        with self._lock:
            if self._slots is None:
                first = [] if self.holds_integers else self._first.to_list()
                self._slots = dict(zip(first, range(len(first)), strict=True))
            return self._slots


def run_start(ids: pl.Series) -> int | None:
    """The first of ids that count up by one, as those of a funnel's own items do; None for any others.

    Args:
        ids: of dtype String or Int64.
    """
    if ids.dtype != pl.Int64 or len(ids) == 0:
        return None
    numbers = ids.to_numpy()
    start = int(numbers[0])
    is_run = int(numbers[-1]) - start == len(numbers) - 1 and bool((np.diff(numbers) == 1).all())
    return start if is_run else None


def unknown_id(ids: Sequence[Any] | pl.Series, missing: NDArray[np.bool_], count: int) -> UnknownIdError:
    """The error for ids of which some are `missing` from an index of `count` items."""
    first = ids[int(np.argmax(missing))]
    more = f" (and {int(missing.sum()) - 1} more)" if missing.sum() > 1 else ""
    return UnknownIdError(
        f"id {first!r}{more} is not in the index ({count:,} items)", remedy="add it with index.add() first"
    )
