"""Which slot an id has: the index's own numbering, in order of first appearance."""

from __future__ import annotations

import threading
from collections.abc import Sequence
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
        self._ids: pl.Series | None = ids
        self._slots: dict[Any, int] = {}
        self._lock = threading.Lock()

    def add(self, ids: pl.Series) -> NDArray[np.int64]:
        """The slots of some ids, those that are new getting the next ones; one writer at a time."""
        self.check_kind(ids)
        table = self._table()
        return np.array([table.setdefault(id_, len(table)) for id_ in ids.to_list()], np.int64)

    def find(self, ids: pl.Series, *, below: int) -> NDArray[np.int64]:
        """The slots of some ids, -1 for those that have none below `below`.

        Raises:
            DataError: the ids are strings and the table holds integers, or the reverse.
        """
        if len(ids) == 0:
            return np.zeros(0, np.int64)
        self.check_kind(ids)
        table = self._table()
        slots = np.fromiter((table.get(id_, -1) for id_ in ids.to_list()), np.int64, len(ids))
        slots[slots >= below] = -1
        return slots

    def check_kind(self, ids: pl.Series) -> None:
        """Refuse strings where the table holds integers, and the reverse, with a DataError."""
        if len(ids) and (ids.dtype == pl.Int64) != self.holds_integers:
            kind = "integers" if self.holds_integers else "strings"
            raise DataError(f"ids are {ids.dtype}, the index holds {kind}", remedy=f"pass {kind}")

    def _table(self) -> dict[Any, int]:
        # Built when first needed: a search without exclusions never does.
        with self._lock:
            if self._ids is not None:
                self._slots = dict(zip(self._ids.to_list(), range(len(self._ids)), strict=True))
                self._ids = None
            return self._slots


def unknown_id(ids: Sequence[Any] | pl.Series, missing: NDArray[np.bool_], count: int) -> UnknownIdError:
    """The error for ids of which some are `missing` from an index of `count` items."""
    first = ids[int(np.argmax(missing))]
    more = f" (and {int(missing.sum()) - 1} more)" if missing.sum() > 1 else ""
    return UnknownIdError(
        f"id {first!r}{more} is not in the index ({count:,} items)", remedy="add it with index.add() first"
    )
