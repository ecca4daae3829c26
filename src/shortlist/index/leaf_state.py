"""One state of an approximate index, never changed: a search sees all of a mutation or nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.effort import EffortCurve
from shortlist.index.leaves import (
    LeafPlan,
    build_part,
    decoded,
    flat_part,
    lay_out,
    leaf_of_rows,
    without_vectors,
)
from shortlist.index.roster import Roster
from shortlist.index.snapshot import rows_of
from shortlist.kernels.leaf_codes import Frame
from shortlist.kernels.leaves import Part
from shortlist.kernels.segments import Metric

# Leaves are trained anew once this fraction (1 / 2) of the vectors came since.
RETRAIN_SHARE = 2


@dataclass(frozen=True, eq=False)
class Settings:
    """What an approximate index is built with.

    Args:
        metric: `"dot"` or `"l2"`, as the kernels score.
        by_length: whether scores favour long vectors: inner products of vectors that are not normalised.
        compact: whether the vectors themselves are dropped.
        seed: of the clusters.
        threads: to work with.
    """

    metric: Metric
    by_length: bool
    compact: bool
    seed: int
    threads: int | None


@dataclass(frozen=True, eq=False)
class LeafState:
    """The vectors of an index: a base in leaves, and fresh parts that every search looks at.

    A mutation adds a small part and marks what it replaces as gone; small parts of like size are merged.
    When the fresh ones grow, the index joins them to the base in the background.

    Args:
        settings: what the index is built with.
        roster: the items.
        base: most of the vectors; its labels are slots, ascending.
        fresh: vectors that came since, newest last; labels as the base's.
        joining: how many of the fresh parts, from the first, are being joined to the base just now.
        since_training: how many vectors came since the leaves were trained.
        curve: recall by effort, or None where every search looks at everything.
        queries: `[m, dim]` that the curve is measured with; None takes likely ones.
    """

    settings: Settings
    roster: Roster
    base: Part
    fresh: tuple[Part, ...] = ()
    joining: int = 0
    since_training: int = 0
    curve: EffortCurve | None = None
    queries: NDArray[np.float32] | None = None

    @property
    def parts(self) -> list[Part]:
        """The parts that hold anything."""
        return [part for part in (self.base, *self.fresh) if part.live]

    @property
    def fresh_rows(self) -> int:
        """How many vectors lie outside the base."""
        return sum(part.live for part in self.fresh)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes by purpose: `codes`, `leaves` and `vectors`."""
        parts = [self.base, *self.fresh]
        return {
            "codes": sum(part.rows.nbytes + part.allowed.nbytes for part in parts),
            "leaves": sum(0 if part.leaves is None else part.leaves.nbytes for part in parts),
            "vectors": sum(0 if part.vectors is None else part.vectors.nbytes for part in parts),
        }

    def put(self, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None) -> LeafState:
        """The same items and some more, or some with other vectors."""
        if len(ids) == 0:
            return self
        roster, slots = self.roster.put(ids, items)
        added = self._flat(vectors, slots, self.base.rows.frame)
        return replace(
            self,
            roster=roster,
            base=_bury(self.base, slots),
            fresh=self._merged((*(_bury(part, slots) for part in self.fresh), added)),
            since_training=self.since_training + len(ids),
        )

    def without(self, slots: NDArray[np.int64]) -> LeafState:
        """The items but some."""
        fresh = tuple(_bury(part, slots) for part in self.fresh)
        return replace(
            self, roster=self.roster.without(slots), base=_bury(self.base, slots), fresh=self._merged(fresh)
        )

    def join(self) -> Part:
        """A base that holds all the living vectors, in new leaves when half of the vectors are new."""
        parts = (self.base, *self.fresh)
        kept = [_live_rows(part) for part in parts]
        slots, vectors = _gathered(parts, kept)
        by_slot = np.argsort(slots, kind="stable")
        labels = None if np.array_equal(slots[by_slot], np.arange(len(slots))) else slots[by_slot]
        ordered = np.ascontiguousarray(vectors[by_slot])
        settings = self.settings
        if self.base.leaves is None or self.needs_training:
            part = build_part(
                ordered,
                metric=settings.metric,
                by_length=settings.by_length,
                seed=settings.seed,
                threads=settings.threads,
                labels=labels,
            )
        else:
            plan = LeafPlan.of(self.base)
            fresh = plan.assign(vectors[len(kept[0]) :], threads=settings.threads)
            leaf_of = np.concatenate([leaf_of_rows(self.base)[kept[0]], fresh])
            part = lay_out(ordered, leaf_of[by_slot], plan, labels=labels, threads=settings.threads)
        return without_vectors(part) if settings.compact else part

    @property
    def needs_training(self) -> bool:
        """Whether so many vectors are new that the leaves should be trained anew."""
        return RETRAIN_SHARE * self.since_training >= self.base.count

    def adopting(self, base: Part, taken: LeafState) -> LeafState:
        """This state with the base that `taken`, an earlier state, was joined into."""
        newer = self.fresh[len(taken.fresh) :]
        if base.rows.frame is not self.base.rows.frame:  # searched together, so coded in one frame
            newer = tuple(self._flat_again((part,), base.rows.frame) for part in newer)
        changed = [_labels(part) for part in newer]
        gone = _labels(base)[~self.roster.alive[_labels(base)]]
        since = 0 if taken.needs_training else taken.since_training
        return replace(
            self,
            base=_bury(base, np.concatenate([*changed, gone])),
            fresh=newer,
            joining=0,
            since_training=since + self.since_training - taken.since_training,
        )

    def renumbered(self) -> LeafState:
        """The same items in the base alone, slots numbered anew without gaps."""
        whole = not self.fresh and self.base.live == self.base.count
        base = self.base if whole else self.join()
        return replace(
            self,
            roster=self.roster.renumbered(),
            base=replace(base, labels=None, native_shared=None),
            fresh=(),
            since_training=self.since_training if whole or not self.needs_training else 0,
        )

    def _flat(self, vectors: NDArray[np.float32], slots: NDArray[np.int64], frame: Frame) -> Part:
        by_slot = np.argsort(slots)
        part = flat_part(
            vectors[by_slot],
            frame=frame,
            metric=self.settings.metric,
            labels=slots[by_slot],
            threads=self.settings.threads,
        )
        return without_vectors(part) if self.settings.compact else part

    def _flat_again(self, parts: Sequence[Part], frame: Frame) -> Part:
        """The living vectors of some parts in one."""
        slots, vectors = _gathered(parts, [_live_rows(part) for part in parts])
        return self._flat(vectors, slots, frame)

    def _merged(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Merge from the end while a part is less than twice what follows; those being joined stay."""
        kept, rest = parts[: self.joining], [part for part in parts[self.joining :] if part.live]
        first, total = len(rest), 0
        while first > 0 and (total == 0 or rest[first - 1].live < 2 * total):
            first -= 1
            total += rest[first].live
        tail = rest[first:]
        if len(tail) > 1:
            tail = [self._flat_again(tail, self.base.rows.frame)]
        return (*kept, *rest[:first], *tail)


def _labels(part: Part) -> NDArray[np.int64]:
    return np.arange(part.count) if part.labels is None else part.labels


def _vectors(part: Part) -> NDArray[np.float32]:
    return decoded(part) if part.vectors is None else part.vectors


def _gathered(
    parts: Sequence[Part], rows: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and vectors of some rows of each part."""
    slots = [_labels(part)[some] for part, some in zip(parts, rows, strict=True)]
    vectors = [_vectors(part)[some] for part, some in zip(parts, rows, strict=True)]
    return np.concatenate(slots), np.concatenate(vectors)


def _live_rows(part: Part) -> NDArray[np.int64]:
    """The rows of a part that may be returned, ascending."""
    places = np.flatnonzero(np.unpackbits(part.allowed.view(np.uint8), bitorder="little"))
    return np.sort(part.rows.order[places].astype(np.int64))


def _bury(part: Part, slots: NDArray[np.int64]) -> Part:
    """Mark what a part holds of some slots as gone."""
    rows = rows_of(part.labels, part.count, slots)
    if len(rows) == 0:
        return part
    places = part.rows.place_of[rows]
    allowed = part.allowed.copy()
    bits = (1 << (places % 16)).astype(np.uint16)
    np.bitwise_and.at(allowed, places // 16, ~bits)
    return part.allowing(allowed)
