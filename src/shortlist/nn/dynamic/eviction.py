"""Which rows of a dynamic table can go."""

from __future__ import annotations

from typing import Literal

import numpy as np

from shortlist.errors import ConfigError
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.row_records import Int64Array

# Beside a row's numbers: what is known of it, and its part of the hash table, which is half full on average.
_OTHER_BYTES = 48

Keep = Literal["recent", "frequent"]


def stale_ids(table: RowTable, *, unseen_for: int | None, seen_fewer_than: int | None) -> Int64Array:
    """The ids that meet all conditions that are given, ascending.

    Args:
        table: the table.
        unseen_for: steps since the id was looked up in training.
        seen_fewer_than: times that it was.

    Raises:
        ConfigError: no condition is given, or one is negative.
    """
    given = {"unseen_for": unseen_for, "seen_fewer_than": seen_fewer_than}
    if unseen_for is None and seen_fewer_than is None:
        raise ConfigError("evict needs a condition", remedy="pass unseen_for, seen_fewer_than or both")
    for name, value in given.items():
        if value is not None and value < 0:
            raise ConfigError(f"{name} is {value}", remedy="pass a number from 0")
    ids, counts, last_seen = table.facts()
    chosen = np.ones(len(ids), bool)
    if unseen_for is not None:
        chosen &= table.clock - last_seen >= unseen_for
    if seen_fewer_than is not None:
        chosen &= counts < seen_fewer_than
    return np.sort(ids[chosen])


def surplus_ids(table: RowTable, max_bytes: int, *, keep: Keep) -> Int64Array:
    """The ids that must go for a table to fit into a number of bytes, ascending.

    Args:
        table: the table.
        max_bytes: of rows, state and the hash table.
        keep: which stay, "recent" those seen last, "frequent" those seen most often; equal ones by the
            other of the two, then lower ids first.

    Raises:
        ConfigError: an argument is out of range.
    """
    if max_bytes < 0 or keep not in ("recent", "frequent"):
        raise ConfigError(
            f"max_bytes is {max_bytes} and keep is {keep!r}",
            remedy="pass a number from 0, and 'recent' or 'frequent'",
        )
    ids, counts, last_seen = table.facts()
    room = max_bytes // row_bytes(table)
    if len(ids) <= room:
        return np.zeros(0, np.int64)
    first, second = (last_seen, counts) if keep == "recent" else (counts, last_seen)
    order = np.lexsort((~ids, second, first))  # those that go first come first
    return np.sort(ids[order[: len(ids) - room]])


def row_bytes(table: RowTable) -> int:
    """What a row takes, with its state and its share of the hash table.

    Args:
        table: the table.
    """
    return 4 * (table.dim + table.state_width) + _OTHER_BYTES
