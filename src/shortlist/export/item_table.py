"""The item table of an export: ids and columns as compressed JSON."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from shortlist.errors import BundleError
from shortlist.export.manifest import FETCH_AGAIN

Column = list[Any]
MOST_BYTES = 1 << 30  # of the unpacked table: a few bytes can be packed zeros without end
LARGEST_ID = 1 << 52  # up to which sums and differences are exact in a browser


def write_item_table(ids: Sequence[str | int], columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Pack the table; the same table gives the same bytes.

    Args:
        ids: of the items, in the order of the device's rows from 1 on.
        columns: by name, one value an item.
    """
    content = {**_packed_ids(list(ids)), "columns": {name: list(values) for name, values in columns.items()}}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0)


def read_item_table(content: bytes, *, count: int | None = None) -> tuple[list[str | int], dict[str, Column]]:
    """Unpack the table.

    Args:
        content: what `write_item_table` gave.
        count: how many items there must be; None for any number.

    Returns:
        The ids and the columns.

    Raises:
        BundleError: it is no such table.
    """
    try:
        table = json.loads(_unpacked(content).decode("utf-8"))
        ids, columns = _read_ids(table), dict(table["columns"])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError("the item table cannot be read", remedy=FETCH_AGAIN) from error
    lengths = {len(each) if isinstance(each, list) else -1 for each in (ids, *columns.values())}
    if lengths != {len(ids) if count is None else count}:
        raise BundleError("the item table's columns have different lengths", remedy=FETCH_AGAIN)
    if not {type(each) for each in ids} <= {str, int} or len(set(ids)) != len(ids):
        raise BundleError("the item table's ids are not distinct texts or integers", remedy=FETCH_AGAIN)
    return ids, columns


def _packed_ids(ids: list[str | int]) -> dict[str, list[Any]]:
    """Whole numbers as their differences: ids that count up, as most do, take next to nothing."""
    whole = [each for each in ids if type(each) is int and abs(each) <= LARGEST_ID]
    if len(whole) < len(ids):
        return {"ids": ids}
    return {"id_steps": [each - before for before, each in pairwise([0, *whole])]}


def _read_ids(table: Mapping[str, Any]) -> list[str | int]:
    if "id_steps" not in table:
        return list(table["ids"])
    steps = list(table["id_steps"])
    if not {type(each) for each in steps} <= {int}:
        raise TypeError("a step is no integer")
    return list(accumulate(steps))


def _unpacked(content: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)  # of gzip
    text = stream.decompress(content, MOST_BYTES)
    if not stream.eof or stream.unused_data:
        raise ValueError("the stream is cut short, too large or followed by something else")
    return text
