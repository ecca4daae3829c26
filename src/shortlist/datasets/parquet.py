"""Parquet files, batch by batch, so that a damaged one is an error and never the end of the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

# Values (rows times columns) that are in memory before their strings are categories.
BATCH_VALUES = 2_000_000


def read_parquet(path: Path, *, categories: Sequence[str] = (), rows: int | None = None) -> pl.DataFrame:
    """Read a Parquet file through Arrow.

    Polars reads Parquet itself a little faster, but trusts the file: one wrong byte in a page can end the
    process. Arrow checks, and what it decodes is checked once more before Polars takes it over.

    Args:
        path: the file.
        categories: columns whose strings are to be read as categories; no such column is ever whole in
            memory as strings.
        rows: how many of the first rows to read; None for all of them.

    Returns:
        The rows in the file's order, in one chunk.

    Raises:
        OSError, ValueError, NotImplementedError: the file is damaged or of an unknown kind.
    """
    parts = []
    for batch in _batches(path, rows):
        texts = [name for name in categories if batch.schema.get(name) == pl.String]
        parts.append(batch.with_columns(pl.col(texts).cast(pl.Categorical)))
        if rows is not None:
            return parts[0].head(rows)
    if not parts:
        return pl.DataFrame()
    frame = pl.concat(parts)
    parts.clear()
    columns = [
        frame.drop_in_place(name).rechunk() for name in frame.columns
    ]  # two copies of one, never of all
    _release()
    return pl.DataFrame(columns)


def count_row_groups(path: Path) -> int:
    """The number of row groups of a Parquet file.

    Args:
        path: the file.

    Raises:
        OSError, ValueError: the file is damaged or no Parquet.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        return int(file.num_row_groups)


def read_row_group(path: Path, group: int, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read one row group, checked as `read_parquet` checks.

    Args:
        path: the file.
        group: its number.
        columns: which columns; None for all.

    Raises:
        OSError, ValueError, NotImplementedError: the file is damaged or of an unknown kind.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        table = file.read_row_group(group, columns=columns)
        table.validate(full=True)
        return _to_polars(table.replace_schema_metadata(None))


def _batches(path: Path, rows: int | None) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        names = file.schema_arrow.names
        size = rows or max(1 << 16, BATCH_VALUES // max(1, len(names)))
        for group in range(file.num_row_groups):  # one by one: a batch across two decodes both
            for batch in file.iter_batches(size, row_groups=[group]):
                batch.validate(full=True)
                # Without the metadata, which may be damaged where Polars trusts it.
                yield _to_polars(pa.Table.from_arrays(batch.columns, names=names))
            _release()


def _release() -> None:
    """Give memory back that Arrow no longer uses but keeps for its next batch."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _to_polars(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
