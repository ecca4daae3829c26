"""All exposures of a store as a table, for evaluation elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from shortlist.serving.stores.exposures import Exposure
from shortlist.serving.stores.store import Store

ROWS = 10_000  # that the store is asked for at a time
SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "user": pl.String,
    "time": pl.Int64,
    "experiment": pl.String,
    "arm": pl.String,
    "probability": pl.Float64,
    "bundle": pl.String,
    "items": pl.List(pl.String),
    "scores": pl.List(pl.Float64),
    "shown": pl.Boolean,
    "context": pl.String,
}


def exposure_table(store: Store, *, experiment: str | None = None) -> pl.DataFrame:
    """The lists that users were shown in experiments, one a row, in the order they were kept.

    Args:
        store: that keeps them.
        experiment: name of the one whose exposures are wanted; None for all.

    Returns:
        Columns `id`, `user`, `time` (seconds since 1970), `experiment`, `arm`, `probability` (of the arm for
        this user), `bundle`, `items` and `scores` (lists, best first), `shown` (false for shadows) and
        `context` (JSON).

    Raises:
        StoreError: the store cannot be reached.
    """
    place, tables = 0, [pl.DataFrame(schema=SCHEMA)]
    while rows := store.exposures_since(place, ROWS):
        place = rows[-1][0]
        wanted = [each for _, each in rows if experiment in (None, each.experiment)]
        tables.append(_table(wanted))
    return pl.concat(tables)


def _table(exposures: Sequence[Exposure]) -> pl.DataFrame:
    columns = {name: [getattr(each, name) for each in exposures] for name in SCHEMA}
    columns["context"] = [json.dumps(each) for each in columns["context"]]
    for name in ("items", "scores"):
        columns[name] = [list(each) for each in columns[name]]
    return pl.DataFrame(columns, schema=SCHEMA)
