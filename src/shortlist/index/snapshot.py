"""One state of an index, never changed: a search sees all of a mutation or nothing of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.ids import SlotTable
from shortlist.kernels import Segment, encode


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The items of an index, by slot.

    Vectors lie in segments, newest last. A mutation adds a small segment and marks what it replaces as
    dead; segments of like size are merged, so they are few, and a vector is moved a logarithmic number of
    times.

    Args:
        segments: the vectors; their labels are slots, ascending.
        table: from ids to slots; it may know later ones, which this snapshot does not.
        ids: `[slots]` String or Int64.
        alive: `[slots]` bool, false once removed.
        items: one row a slot, or None.
    """

    segments: tuple[Segment, ...]
    table: SlotTable
    ids: pl.Series
    alive: NDArray[np.bool_]
    items: pl.DataFrame | None

    @cached_property
    def live_slots(self) -> NDArray[np.int64]:
        """`[count]` the slots of the items, ascending: the order of the index's `ids`."""
        return np.flatnonzero(self.alive)

    @cached_property
    def live_ids(self) -> pl.Series:
        """`[count]` the ids of the items."""
        return self.ids if len(self.live_slots) == len(self.ids) else self.ids.gather(self.live_slots)

    @classmethod
    def of(
        cls, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None, *, threads: int | None
    ) -> Snapshot:
        """Items in slots 0, 1, …; the vectors are not copied.

        Raises:
            DataError: a vector holds a NaN or an infinite value.
        """
        segments = (Segment(vectors, encode(vectors, threads=threads)),) if len(vectors) else ()
        return cls(segments, SlotTable(ids), ids, np.ones(len(ids), np.bool_), items)

    def find(self, ids: pl.Series) -> NDArray[np.int64]:
        """The slots of ids, living or dead, -1 for those that never were here."""
        return self.table.find(ids, below=len(self.ids))

    def holds(self, ids: pl.Series) -> NDArray[np.bool_]:
        """Which ids belong to living items."""
        slots = self.find(ids)
        found = slots >= 0
        found[found] = self.alive[slots[found]]
        return found

    def put(
        self,
        ids: pl.Series,
        vectors: NDArray[np.float32],
        items: pl.DataFrame | None,
        *,
        threads: int | None,
    ) -> Snapshot:
        """The same items and some more, or some with other vectors.

        Args:
            ids: distinct, new or known.
            vectors: `[len(ids), dim]`, finite.
            items: rows for the item table; None keeps those that are there.
            threads: to code the vectors with.
        """
        if len(ids) == 0:  # of no kind, so there is nothing to compare with the table's
            return self
        slots = self.table.add(ids)
        by_slot = np.argsort(slots)
        added = _segment(vectors[by_slot], slots[by_slot], threads)
        segments = (*(_bury(segment, slots) for segment in self.segments), added)
        new_ids = ids.filter(pl.Series(slots >= len(self.ids))).alias(self.ids.name)
        alive = np.concatenate([self.alive, np.zeros(len(new_ids), np.bool_)])
        alive[slots] = True
        table = self.items
        if table is not None and items is not None:
            table = _replace_rows(table, items, slots, len(alive))
        # One chunk, so that a search can look ids up where they lie.
        all_ids = pl.concat([self.ids, new_ids], rechunk=True)
        return Snapshot(_merge_like_sized(segments, threads), self.table, all_ids, alive, table)

    def without(self, slots: NDArray[np.int64], *, threads: int | None) -> Snapshot:
        """The items but some."""
        segments = tuple(_bury(segment, slots) for segment in self.segments)
        alive = self.alive.copy()
        alive[slots] = False
        return replace(self, segments=_merge_like_sized(segments, threads), alive=alive)

    def compacted(self, *, threads: int | None) -> Snapshot:
        """The same items in one segment, slots numbered anew without gaps."""
        slots = self.live_slots
        if self.segments and len(slots):
            whole = len(self.segments) == 1 and not self.segments[0].dead.any()
            merged = self.segments[0] if whole else _merge(self.segments, threads)
            segments: tuple[Segment, ...] = (Segment(merged.vectors, merged.codes),)
        else:
            segments = ()
        ids, items = self.live_ids, None if self.items is None else self.items[slots]
        return Snapshot(segments, SlotTable(ids), ids, np.ones(len(slots), np.bool_), items)


def _segment(vectors: NDArray[np.float32], slots: NDArray[np.int64], threads: int | None) -> Segment:
    return Segment(vectors, encode(vectors, threads=threads), labels=slots)


def _labels(segment: Segment) -> NDArray[np.int64]:
    return np.arange(len(segment)) if segment.labels is None else segment.labels


def _live(segment: Segment) -> int:
    return len(segment) - int(segment.dead.sum())


def _bury(segment: Segment, slots: NDArray[np.int64]) -> Segment:
    """Mark what a segment holds of some slots as dead."""
    if segment.labels is None:
        places = slots[slots < len(segment)]
    else:
        places = np.searchsorted(segment.labels, slots)
        inside = places < len(segment)
        places = places[inside][segment.labels[places[inside]] == slots[inside]]
    if len(places) == 0:
        return segment
    dead = segment.dead.copy() if len(segment.dead) else np.zeros(len(segment), np.bool_)
    dead[places] = True
    return segment.without(dead)


def _merge_like_sized(segments: tuple[Segment, ...], threads: int | None) -> tuple[Segment, ...]:
    """Merge from the end while a segment is less than twice what follows; rewrite one that is mostly dead."""
    kept = [segment for segment in segments if _live(segment)]
    kept = [_merge((s,), threads) if _live(s) * 2 < len(s) else s for s in kept]
    first = len(kept)
    total = 0
    while first > 0 and (total == 0 or _live(kept[first - 1]) < 2 * total):
        first -= 1
        total += _live(kept[first])
    tail = tuple(kept[first:])
    return (*kept[:first], *(tail if len(tail) < 2 else (_merge(tail, threads),)))


def _merge(segments: tuple[Segment, ...], threads: int | None) -> Segment:
    alive = [~s.dead if len(s.dead) else np.ones(len(s), np.bool_) for s in segments]
    slots = np.concatenate([_labels(s)[live] for s, live in zip(segments, alive, strict=True)])
    vectors = np.concatenate([s.vectors[live] for s, live in zip(segments, alive, strict=True)])
    by_slot = np.argsort(slots)
    return _segment(vectors[by_slot], slots[by_slot], threads)


def _replace_rows(
    items: pl.DataFrame, rows: pl.DataFrame, slots: NDArray[np.int64], count: int
) -> pl.DataFrame:
    """The item table of `count` slots with other rows at some of them."""
    source = np.arange(count)
    source[slots] = len(items) + np.arange(len(slots))
    return pl.concat([items, rows])[source]
