"""Tables from CSV, TSV, Parquet and JSON-lines files, one or many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.datasets.assemble import assemble
from shortlist.datasets.guess import guess_schema
from shortlist.datasets.parquet import read_parquet
from shortlist.errors import DataError, SchemaError, did_you_mean

Source = str | Path | Sequence[str | Path]

FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}  # fmt: skip

# Rows that decide a column's type at first; all of them when a later one does not fit.
INFERENCE_ROWS = 10_000

# Rows that a schema is guessed from.
FIRST_ROWS = 1000


def from_files(
    interactions: Source,
    *,
    users: Source | None = None,
    items: Source | None = None,
    schema: Schema | None = None,
    strict: bool = False,
) -> Dataset:
    """Read a dataset from files.

    String ids are read as categories, so that no column of strings is ever whole in memory.

    Args:
        interactions: a file, a folder, a pattern such as `"events/*.parquet"`, or a list of files, in
            CSV, TSV, Parquet or JSON lines; the text formats may be compressed with gzip (`.gz`).
        users: likewise; one row a user, with the schema's user id column.
        items: likewise; one row an item, with the schema's item id column.
        schema: what the columns of the interactions mean; guessed from their names by default.
        strict: refuse tables with bad rows instead of dropping and counting them.

    Returns:
        A Dataset whose `report` says what was dropped and how the columns were read.

    Raises:
        SchemaError: a column is missing, or none looks like the ids.
        DataError: a file is missing, empty, damaged or of an unknown format; the message names it.
    """
    paths = expand(interactions)
    if schema is None:
        schema = guess_schema(first_rows(paths[0]))
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0].parent} ({len(paths)} files)"
    texts = [schema.user_id, schema.item_id] + ([schema.event] if schema.event else [])
    return assemble(
        read_tables(paths, required=schema.columns, categories=texts),
        schema,
        users=None if users is None else read_tables(expand(users), required=[schema.user_id]),
        items=None if items is None else read_tables(expand(items), required=[schema.item_id]),
        name=paths[0].name.split(".")[0],
        strict=strict,
        where=where,
    )


def expand(source: Source) -> list[Path]:
    """The files that a path, a folder, a pattern or a list of them stands for.

    Args:
        source: a folder stands for the tables in it, in the order of their names.

    Raises:
        DataError: there is no such file, or none that holds a table.
    """
    if not isinstance(source, (str, Path)):
        return [path for each in source for path in expand(each)]
    path = at_home(Path(source))
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.is_file() and _format(file) is not None)
    else:
        base = path.anchor or "."
        found = sorted(file for file in Path(base).glob(str(path.relative_to(path.anchor))) if file.is_file())
    if not found:
        raise DataError(
            "there is no such file" if not path.is_dir() else "no file in the folder holds a table",
            where=str(source),
            remedy=f"give a path or pattern of files that end in {', '.join(FORMATS)}",
        )
    return found


def at_home(path: Path) -> Path:
    """A path whose `~` is replaced by the home folder; one that is nobody's stays, as shells leave it.

    Args:
        path: of a file, a folder or a pattern.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def read_tables(
    paths: Sequence[Path], *, required: Sequence[str], categories: Sequence[str] = ()
) -> pl.DataFrame:
    """Read files of one table, one after another.

    Args:
        paths: the files; columns that some lack are null there.
        required: columns that each file must have.
        categories: columns whose strings are to be read as categories.

    Returns:
        All rows, in the order of the files.

    Raises:
        SchemaError: a required column is missing from a file.
        DataError: a file cannot be read.
    """
    parts = []
    for path in paths:
        part = _read(path, categories)
        for column in required:
            if column not in part.columns:
                raise SchemaError(
                    f"column {column!r} is missing",
                    where=str(path),
                    remedy=did_you_mean(column, part.columns),
                )
        parts.append(part)
    table = _stack(parts, categories)
    del parts, part
    # One chunk a column, and never two copies of more than one.
    return pl.DataFrame([table.drop_in_place(name).rechunk() for name in table.columns])


def _stack(parts: list[pl.DataFrame], categories: Sequence[str]) -> pl.DataFrame:
    if len(parts) == 1:
        return parts[0]
    for name in categories:
        kinds = {part[name].dtype for part in parts if name in part.columns}
        if len(kinds) > 1:  # integers in one file, strings in another
            as_text = pl.col(name).cast(pl.String).cast(pl.Categorical)
            parts = [part.with_columns(as_text) for part in parts]
    try:
        return pl.concat(parts, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the files' columns have types that do not go together: {_first_line(error)}",
            remedy="write the files with the same types",
        ) from error


def _read(path: Path, categories: Sequence[str]) -> pl.DataFrame:
    """One whole file; types are decided by the first rows if they can be."""
    try:
        frame = _collect(path, categories, INFERENCE_ROWS)
    except DataError:
        if _format(path) == "parquet":
            raise
        frame = _collect(path, categories, None)
    if len(frame) == 0:
        raise DataError("the file holds no row", where=str(path), remedy="check how it was written")
    return frame


# What the readers raise. Arrow's errors are all among the last three.
READING_ERRORS = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    ValueError,
    NotImplementedError,
)


def _collect(path: Path, categories: Sequence[str], inference_rows: int | None) -> pl.DataFrame:
    kind = _known_format(path)
    try:
        if kind == "parquet":
            return read_parquet(path, categories=categories)
        table = _scan(path, kind, inference_rows)
        schema = table.collect_schema()
        texts = [name for name in categories if schema.get(name) == pl.String]
        return table.with_columns(pl.col(texts).cast(pl.Categorical)).collect(engine="streaming")
    except READING_ERRORS as error:
        raise unreadable(path, error) from error


def first_rows(path: Path) -> pl.DataFrame:
    """The first rows of a file, enough to guess a schema from.

    Args:
        path: in a format that `from_files` reads.

    Raises:
        DataError: the file cannot be read.
    """
    kind = _known_format(path)
    try:
        if kind == "parquet":
            return read_parquet(path, rows=FIRST_ROWS)
        return _scan(path, kind, INFERENCE_ROWS).head(FIRST_ROWS).collect()
    except READING_ERRORS as error:
        raise unreadable(path, error) from error


def _scan(path: Path, kind: str, inference_rows: int | None) -> pl.LazyFrame:
    if kind == "jsonl":
        return pl.scan_ndjson(path, infer_schema_length=inference_rows)
    separator = "\t" if kind == "tsv" else ","
    return pl.scan_csv(path, separator=separator, infer_schema_length=inference_rows, glob=False)


def _known_format(path: Path) -> str:
    kind = _format(path)
    if kind is None:
        raise DataError(
            f"{path.suffix!r} is no format of tables known here",
            where=str(path),
            remedy=f"use one of {', '.join(FORMATS)}, the text formats also with .gz",
        )
    return kind


def _format(path: Path) -> str | None:
    suffixes = path.suffixes
    if suffixes[-1:] == [".gz"]:
        kind = FORMATS.get(suffixes[-2].lower()) if len(suffixes) > 1 else None
        return None if kind == "parquet" else kind
    return FORMATS.get(path.suffix.lower())


def unreadable(path: Path, error: BaseException) -> DataError:
    """What to say of a file that a reader refused.

    Args:
        path: the file.
        error: what the reader raised.
    """
    said = _first_line(error)
    if isinstance(error, pl.exceptions.NoDataError) or (path.is_file() and path.stat().st_size == 0):
        return DataError("the file is empty", where=str(path), remedy="check how it was written")
    if "utf-8" in said.lower() or "utf8" in said.lower():
        return DataError(
            "the file is not in UTF-8",
            where=str(path),
            remedy="convert it: iconv -f latin1 -t utf-8 OLD > NEW",
        )
    return DataError(f"cannot be read: {said}", where=str(path), remedy="check the file and its ending")


def _first_line(error: BaseException) -> str:
    """What a reader said, without what it may quote from a damaged file that is not for a terminal."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return "".join(letter if letter.isprintable() else "�" for letter in line)
