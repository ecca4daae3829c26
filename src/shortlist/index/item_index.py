"""What indexes that can be changed have in common: their items, and the checks of what callers hand in."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import ConfigError, DataError, NotFittedError, ShapeError
from shortlist.index.ids import unknown_id
from shortlist.index.inputs import Ids, Metric, Vectors, as_ids, as_matrix, check_metric, normalised
from shortlist.index.roster import Roster
from shortlist.kernels import check_finite


class State(Protocol):
    """One state of an index, never changed."""

    @property
    def roster(self) -> Roster:
        """The items."""
        ...

    def put(self, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None) -> Self:
        """The state with some items more, or with other vectors."""
        ...

    def without(self, slots: NDArray[np.int64]) -> Self:
        """The state without some items."""
        ...


StateT = TypeVar("StateT", bound=State)


class ItemIndex(ABC, Generic[StateT]):
    """Items with vectors that can be added, updated and removed while searches run.

    Each change makes a new state; a search holds one state from beginning to end, so it sees the index before
    or after a change, and readers never wait.

    Args:
        dim: width of the vectors.
        metric: `"dot"`, `"cosine"`, or `"l2"`, whose score is minus the squared distance.
        threads: of one search; PyTorch's number by default.

    Raises:
        ConfigError: an unknown metric, or a dim out of range.
    """

    max_dim: int

    def __init__(self, dim: int, *, metric: Metric = "dot", threads: int | None = None) -> None:
        if not 1 <= dim <= self.max_dim:
            raise ConfigError(f"dim is {dim}", remedy=f"use the width of the vectors, 1 to {self.max_dim:,}")
        self.dim = dim
        self.metric: Metric = check_metric(metric)
        self.threads = threads
        self._state: StateT | None = None
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return 0 if self._state is None else len(self._state.roster.live_slots)

    def __contains__(self, id_: object) -> bool:
        if self._state is None or not isinstance(id_, (str, int, np.integer)) or isinstance(id_, bool):
            return False
        roster = self._state.roster
        same_kind = roster.table.holds_integers != isinstance(id_, str)
        return same_kind and bool(roster.holds(pl.Series(values=[id_]))[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim}, metric={self.metric!r}, items={len(self):,})"

    @property
    def ids(self) -> NDArray[Any]:
        """`[len(self)]` the ids, int64 or objects, in the order they first came: the order of `where`."""
        return self._fitted().roster.live_ids.to_numpy()

    def add(self, ids: Ids, vectors: Vectors, *, items: pl.DataFrame | None = None) -> None:
        """Add items; the next search finds them. An id that was removed before gets its old place in `ids`.

        Args:
            ids: `[n]` distinct, none of them in the index.
            vectors: `[n, dim]` float32; they are copied.
            items: one row an id, with the columns of the table given to `fit`, if there was one.

        Raises:
            ShapeError, DataError: as `fit`; also an id that the index holds, or items missing or not wanted.
        """
        series, matrix = self._check(ids, vectors, items)
        check_finite(matrix, "vector")
        with self._writing:
            state = self._state
            if state is None or len(state.roster.ids) == 0:
                self._state = self._new_state(series, matrix.copy(), items)
                return
            present = state.roster.holds(series)
            if present.any():
                raise DataError(
                    f"id {series[int(np.argmax(present))]!r} is already in the index",
                    remedy="use update() to replace its vector",
                )
            if state.roster.items is not None and items is None:
                raise DataError(
                    "the index has an item table", where="items", remedy="pass items= with a row an id"
                )
            self._state = self._changed(state.put(series, matrix, _same_columns(state.roster, items)))

    def update(self, ids: Ids, vectors: Vectors, *, items: pl.DataFrame | None = None) -> None:
        """Replace the vectors of items, which keep their places in `ids`; the next search sees them.

        Args:
            ids: `[n]` distinct, all of them in the index.
            vectors: `[n, dim]` float32; they are copied.
            items: new rows of the item table; the old ones stay by default.

        Raises:
            UnknownIdError: an id that the index does not hold.
            ShapeError, DataError: as `add`.
        """
        series, matrix = self._check(ids, vectors, items)
        check_finite(matrix, "vector")
        with self._writing:
            state = self._fitted()
            _require_held(state.roster, series)
            self._state = self._changed(state.put(series, matrix, _same_columns(state.roster, items)))

    def remove(self, ids: Ids) -> None:
        """Remove items; the next search cannot return them.

        Raises:
            UnknownIdError: an id that the index does not hold; nothing is removed then.
        """
        series = as_ids(ids)
        with self._writing:
            state = self._fitted()
            _require_held(state.roster, series)
            self._state = self._changed(state.without(state.roster.find(series)))

    @abstractmethod
    def _new_state(self, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None) -> StateT:
        """A state of items in slots 0, 1, …; the vectors are the index's own."""

    def _changed(self, state: StateT) -> StateT:
        """What an index does about a change, under the writers' lock."""
        return state

    def _fitted(self) -> StateT:
        if self._state is None:
            raise NotFittedError("the index is empty", remedy="call fit(ids, vectors) first")
        return self._state

    def _check(
        self, ids: Ids, vectors: Vectors, items: pl.DataFrame | None
    ) -> tuple[pl.Series, NDArray[np.float32]]:
        series, matrix = as_ids(ids), as_matrix(vectors, self.dim, "vectors")
        if len(series) != len(matrix):
            raise ShapeError(f"{len(series)} ids for {len(matrix)} vectors", remedy="pass one id a vector")
        if items is not None and len(items) != len(series):
            raise ShapeError(
                f"{len(items)} items for {len(series)} ids", remedy="pass one row an id, in order"
            )
        return series, normalised(matrix) if self.metric == "cosine" else matrix


def _require_held(roster: Roster, ids: pl.Series) -> None:
    held = roster.holds(ids)
    if not held.all():
        raise unknown_id(ids, ~held, len(roster.live_slots))


def _same_columns(roster: Roster, items: pl.DataFrame | None) -> pl.DataFrame | None:
    """New rows for the item table, or None; refuses rows that do not fit it."""
    if items is None:
        return None
    if roster.items is None:
        raise DataError("the index has no item table", where="items", remedy="give fit() the whole table")
    wanted = roster.items.schema
    try:
        return items.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the rows do not fit the item table: {error}",
            where="items",
            remedy=f"its columns are {dict(wanted)}",
        ) from error
