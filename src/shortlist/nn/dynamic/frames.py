"""Rows of a dynamic table as a table with columns, and as Arrow files."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from shortlist.errors import DataError, SchemaError
from shortlist.kernels.checks import check_finite
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.row_records import RULES, Float32Array, Int64Array, RowRecords, state_width

_STATE = "_state"


def frame_of(table: RowTable) -> pl.DataFrame:
    """All rows in ascending order of their ids.

    Args:
        table: the table.
    """
    with table.lock:
        records, rule = table.records(), table.rule
    records = records.take(np.argsort(records.ids))
    columns = {"id": pl.Series(records.ids), "weights": _vectors(records.weights)}
    if records.state.shape[1]:
        columns[rule + _STATE] = _vectors(records.state)
    return pl.DataFrame(columns | {"count": records.counts, "last_seen": records.last_seen})


def put_frame(table: RowTable, frame: pl.DataFrame, where: str) -> None:
    """Give ids the rows of a frame; others keep theirs.

    Args:
        table: the table.
        frame: as `frame_of` returns; the state, `count` and `last_seen` may be missing.
        where: what to call the frame in errors.

    Raises:
        SchemaError: a column is missing or of another type.
        DataError: an id is missing or repeats, or a number is not finite.
    """
    ids = _integers(frame, "id", where)
    if frame["id"].n_unique() != len(frame):
        raise DataError("ids repeat", where=f"{where}, column 'id'", remedy="keep one row an id")
    weights = _matrix(frame, "weights", table.dim, where)
    with table.lock:
        rule = _rule(frame, table, where)
        width = state_width(rule, table.dim)
        state = np.zeros((len(frame), 0), np.float32)
        if width and rule + _STATE in frame.columns:
            state = _matrix(frame, rule + _STATE, width, where)
        elif width:  # rows from elsewhere start like new ones
            state = np.full((len(frame), width), 0 if rule == "adam" else table.initial, np.float32)
        counts, last_seen = (
            _integers(frame, name, where) if name in frame.columns else np.full(len(frame), value)
            for name, value in (("count", 0), ("last_seen", table.clock))
        )
        if not table.rule:
            table.start_state(rule, math.nan)
        table.put(RowRecords(ids, weights, state, counts, last_seen))


def _rule(frame: pl.DataFrame, table: RowTable, where: str) -> str:
    found = [rule for rule in RULES if rule and rule + _STATE in frame.columns]
    if len(found) > 1 or (found and table.rule not in ("", found[0])):
        raise SchemaError(
            f"it holds the state of {' and '.join(found)}, the table that of {table.rule or 'one rule'}",
            where=where,
            remedy="drop the columns that end in '_state', and rows start like new ones",
        )
    return found[0] if found else table.rule


def _vectors(values: Float32Array) -> pl.Series:
    return (
        pl.Series(values.reshape(-1)).reshape((-1, values.shape[1]))
        if len(values)
        else pl.Series([], dtype=pl.Array(pl.Float32, values.shape[1]))
    )


def _integers(frame: pl.DataFrame, name: str, where: str) -> Int64Array:
    column = _column(frame, name, pl.Int64(), where)
    return column.to_numpy(writable=True)


def _matrix(frame: pl.DataFrame, name: str, width: int, where: str) -> Float32Array:
    column = _column(frame, name, pl.Array(pl.Float32, width), where)
    values = (
        column.explode().to_numpy().reshape(-1, width) if len(column) else np.zeros((0, width), np.float32)
    )
    check_finite(values, f"row of {name!r}")
    return values


def _column(frame: pl.DataFrame, name: str, dtype: pl.DataType, where: str) -> pl.Series:
    if name not in frame.columns or frame[name].dtype != dtype:
        found = f"is {frame[name].dtype}" if name in frame.columns else "is missing"
        raise SchemaError(f"column {name!r} {found}", where=where, remedy=f"it must be {dtype}")
    if frame[name].null_count():
        raise DataError(
            f"{frame[name].null_count()} entries are missing",
            where=f"{where}, column {name!r}",
            remedy="drop these rows",
        )
    return frame[name]
