"""One state of an exact index, never changed: a search sees all of a mutation or nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.roster import Roster
from shortlist.kernels import Segment, encode


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The vectors of an index, by slot.

    They lie in segments, newest last. A mutation adds a small segment and marks what it replaces as dead;
    segments of like size are merged, so they are few, and a vector is moved a logarithmic number of times.

    Args:
        roster: the items.
        segments: their vectors; the labels are slots, ascending.
        threads: to code vectors with; PyTorch's number by default.
    """

    roster: Roster
    segments: tuple[Segment, ...]
    threads: int | None = None

    @classmethod
    def of(
        cls, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None, *, threads: int | None
    ) -> Snapshot:
        """Items in slots 0, 1, …; the vectors are not copied.

        Raises:
            DataError: a vector holds a NaN or an infinite value.
        """
        segments = (Segment(vectors, encode(vectors, threads=threads)),) if len(vectors) else ()
        return cls(Roster.of(ids, items), segments, threads)

    def put(self, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None) -> Snapshot:
        """The same items and some more, or some with other vectors.

        Args:
            ids: distinct, new or known.
            vectors: `[len(ids), dim]`, finite.
            items: rows for the item table; None keeps those that are there.
        """
        if len(ids) == 0:  # of no kind, so there is nothing to compare with the table's
            return self
        roster, slots = self.roster.put(ids, items)
        by_slot = np.argsort(slots)
        added = _segment(vectors[by_slot], slots[by_slot], self.threads)
        segments = (*(_bury(segment, slots) for segment in self.segments), added)
        return Snapshot(roster, _merge_like_sized(segments, self.threads), self.threads)

    def without(self, slots: NDArray[np.int64]) -> Snapshot:
        """The items but some."""
        segments = tuple(_bury(segment, slots) for segment in self.segments)
        return Snapshot(self.roster.without(slots), _merge_like_sized(segments, self.threads), self.threads)

    def compacted(self) -> Snapshot:
        """The same items in one segment, slots numbered anew without gaps."""
        segments: tuple[Segment, ...] = ()
        if self.segments and len(self.roster.live_slots):
            whole = len(self.segments) == 1 and not self.segments[0].dead.any()
            merged = self.segments[0] if whole else _merge(self.segments, self.threads)
            segments = (Segment(merged.vectors, merged.codes),)
        return Snapshot(self.roster.renumbered(), segments, self.threads)


def _segment(vectors: NDArray[np.float32], slots: NDArray[np.int64], threads: int | None) -> Segment:
    return Segment(vectors, encode(vectors, threads=threads), labels=slots)


def _labels(segment: Segment) -> NDArray[np.int64]:
    return np.arange(len(segment)) if segment.labels is None else segment.labels


def _live(segment: Segment) -> int:
    return len(segment) - int(segment.dead.sum())


def _bury(segment: Segment, slots: NDArray[np.int64]) -> Segment:
    """Mark what a segment holds of some slots as dead."""
    places = rows_of(segment.labels, len(segment), slots)
    if len(places) == 0:
        return segment
    dead = segment.dead.copy() if len(segment.dead) else np.zeros(len(segment), np.bool_)
    dead[places] = True
    return segment.without(dead)


def rows_of(labels: NDArray[np.int64] | None, count: int, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where some slots stand among `count` rows.

    Args:
        labels: `[count]` the rows' slots, ascending; None: row numbers.
        count: of rows.
        slots: looked for; those that have no row are left out.
    """
    if labels is None:
        return slots[slots < count]
    places = np.searchsorted(labels, slots)
    inside = places < count
    found: NDArray[np.int64] = places[inside][labels[places[inside]] == slots[inside]]
    return found


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
