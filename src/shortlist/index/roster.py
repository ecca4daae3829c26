"""Which items an index holds: their ids, the slots that these have, and the item table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.ids import SlotTable, run_start
from shortlist.index.results import ids_at


@dataclass(frozen=True, eq=False)
class Roster:
    """The items of an index at one moment, never changed.

    Args:
        table: from ids to slots; it may know later ones, which this roster does not.
        ids: `[slots]` String or Int64.
        alive: `[slots]` bool, false once removed.
        items: one row a slot, or None.
    """

    table: SlotTable
    ids: pl.Series
    alive: NDArray[np.bool_]
    items: pl.DataFrame | None

    @classmethod
    def of(cls, ids: pl.Series, items: pl.DataFrame | None) -> Roster:
        """Items in slots 0, 1, …"""
        return cls(SlotTable(ids), ids, np.ones(len(ids), np.bool_), items)

    @cached_property
    def live_slots(self) -> NDArray[np.int64]:
        """`[count]` the slots of the items, ascending: the order of the index's `ids`."""
        return np.flatnonzero(self.alive)

    @cached_property
    def live_ids(self) -> pl.Series:
        """`[count]` the ids of the items."""
        return self.ids if len(self.live_slots) == len(self.ids) else self.ids.gather(self.live_slots)

    @cached_property
    def _lookup(self) -> pl.Series | NDArray[np.int64]:
        # Once for all searches: a Series out of a file may have to be copied to become an array.
        return self.ids.to_numpy() if self.ids.dtype == pl.Int64 else self.ids

    @cached_property
    def _start(self) -> int | None:
        return run_start(self.ids)

    def ids_at(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """The ids of some slots, of any shape; -1, or None for strings, where a slot is -1."""
        if self._start is not None:  # nothing to look up, and so no memory to wait for
            return np.where(slots < 0, -1, slots + self._start)
        return ids_at(self._lookup, slots)

    def find(self, ids: pl.Series) -> NDArray[np.int64]:
        """The slots of ids, living or dead, -1 for those that never were here."""
        return self.table.find(ids, below=len(self.ids))

    def find_numbers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """As `find`, for integers that are in an array already."""
        return self.table.find_numbers(numbers, below=len(self.ids))

    def holds(self, ids: pl.Series) -> NDArray[np.bool_]:
        """Which ids belong to living items."""
        slots = self.find(ids)
        found = slots >= 0
        found[found] = self.alive[slots[found]]
        return found

    def put(self, ids: pl.Series, items: pl.DataFrame | None) -> tuple[Roster, NDArray[np.int64]]:
        """The same items and some more.

        Args:
            ids: distinct, new or known.
            items: rows for the item table; None keeps those that are there.

        Returns:
            The roster, and the slot of each of the ids.
        """
        slots = self.table.add(ids)
        new_ids = ids.filter(pl.Series(slots >= len(self.ids))).alias(self.ids.name)
        alive = np.concatenate([self.alive, np.zeros(len(new_ids), np.bool_)])
        alive[slots] = True
        table = self.items
        if table is not None and items is not None:
            table = _replace_rows(table, items, slots, len(alive))
        # One chunk, so that a search can look ids up where they lie.
        all_ids = pl.concat([self.ids, new_ids], rechunk=True)
        return Roster(self.table, all_ids, alive, table), slots

    def without(self, slots: NDArray[np.int64]) -> Roster:
        """The items but some."""
        alive = self.alive.copy()
        alive[slots] = False
        return replace(self, alive=alive)

    def renumbered(self) -> Roster:
        """The living items alone, slots numbered anew without gaps."""
        slots = self.live_slots
        return Roster.of(self.live_ids, None if self.items is None else self.items[slots])


def _replace_rows(
    items: pl.DataFrame, rows: pl.DataFrame, slots: NDArray[np.int64], count: int
) -> pl.DataFrame:
    """The item table of `count` slots with other rows at some of them."""
    source = np.arange(count)
    source[slots] = len(items) + np.arange(len(slots))
    return pl.concat([items, rows])[source]
