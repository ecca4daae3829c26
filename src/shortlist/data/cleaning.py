"""Bad rows: found, counted by cause and dropped, or refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.lookup import categories
from shortlist.data.repeats import repeats
from shortlist.data.schema import Schema
from shortlist.data.times import parse_times
from shortlist.data.vocabulary import is_categorical, normalise_ids
from shortlist.errors import DataError, SchemaError, did_you_mean

NUM_EXAMPLES = 5


@dataclass(frozen=True)
class CleaningReport:
    """What was dropped when tables were read.

    Args:
        rows_read: rows of the interactions as they came.
        rows_kept: rows that are left.
        causes: how many rows were dropped for each cause; a row counts for the first that applies.
        examples: for each cause, the first few row numbers, counted from 0 without a header.
        notes: how columns were understood, such as the unit of the times.
    """

    rows_read: int
    rows_kept: int
    causes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.rows_read:,} rows read, {self.rows_kept:,} kept"]
        lines += [f"  dropped: {line}" for line in self.lines]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    @property
    def lines(self) -> list[str]:
        """One line a cause: how many rows, and which came first."""
        faults = []
        for cause, count in self.causes.items():
            rows = ", ".join(map(str, self.examples[cause])) + (", …" if count > NUM_EXAMPLES else "")
            faults.append(f"{cause}: {count:,} (rows {rows})")
        return faults

    def including(self, other: CleaningReport, name: str) -> CleaningReport:
        """This report with the causes and notes of another table's, each marked by its name.

        Args:
            other: the report of a table of users or items.
            name: how to call that table.
        """
        return CleaningReport(
            self.rows_read,
            self.rows_kept,
            self.causes | {f"{name}: {cause}": count for cause, count in other.causes.items()},
            self.examples | {f"{name}: {cause}": rows for cause, rows in other.examples.items()},
            self.notes + tuple(f"{name}: {note}" for note in other.notes),
        )

    def followed_by(self, other: CleaningReport) -> CleaningReport:
        """The report of this part of a table and the next one, whose rows are numbered on.

        Args:
            other: the report of the rows that follow.
        """
        causes, examples = dict(self.causes), dict(self.examples)
        for cause, count in other.causes.items():
            rows = tuple(self.rows_read + row for row in other.examples[cause])
            causes[cause] = causes.get(cause, 0) + count
            examples[cause] = (*examples.get(cause, ()), *rows)[:NUM_EXAMPLES]
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        rows_read, rows_kept = self.rows_read + other.rows_read, self.rows_kept + other.rows_kept
        return CleaningReport(rows_read, rows_kept, causes, examples, notes)

    def refuse(self, where: str) -> None:
        """Raise when anything was dropped.

        Args:
            where: how to call the table.

        Raises:
            DataError: a row was dropped; the message lists the causes, their counts and first rows.
        """
        if self.causes:
            raise DataError(
                "bad rows: " + "; ".join(self.lines),
                where=where,
                remedy="mend these rows, or read without strict to drop them",
            )


def clean(
    frame: pl.DataFrame, schema: Schema, *, strict: bool = False, where: str = "the interactions"
) -> tuple[pl.DataFrame, CleaningReport]:
    """Drop the rows that cannot be used, count them by cause, and bring the schema's columns to one form.

    Without a time column, equal rows are kept: two purchases cannot be told from one written twice.

    Args:
        frame: the interactions as read.
        schema: what the columns mean.
        strict: refuse a table with bad rows instead of dropping them.
        where: how to call the table in errors.

    Returns:
        The good rows in their order, ids as Int64, String or Categorical, times as Int64 seconds since
        1970, labels as numbers, event types as String or Categorical; and the report.

    Raises:
        SchemaError: a column is missing or of a type that cannot be understood.
        DataError: `strict` and a row is bad, or no row is good.
    """
    schema.check(frame, where=where)
    faults = _Faults(len(frame))
    columns = [
        _clean_ids(frame[schema.user_id], "user id", faults),
        _clean_ids(frame[schema.item_id], "item id", faults),
    ]
    if schema.timestamp is not None:
        columns.append(_clean_times(frame[schema.timestamp], faults))
    if schema.event is not None:
        columns.append(_clean_events(frame[schema.event], schema, faults))
    key = [column.name for column in columns]
    if schema.label is not None:
        columns.append(_clean_labels(frame[schema.label], faults))
    cleaned = faults.good_rows(frame.with_columns(columns))
    if schema.timestamp is not None:
        cleaned = faults.drop(cleaned, "the same event again", repeats(cleaned.select(key)))
    report = faults.report(strict=strict, where=where)
    if len(frame) and not len(cleaned):
        raise DataError(
            f"no row can be used: {'; '.join(report.lines)}", where=where, remedy="check the schema's columns"
        )
    return cleaned, report


def clean_entities(
    frame: pl.DataFrame, key: str, *, strict: bool = False, where: str = "the table"
) -> tuple[pl.DataFrame, CleaningReport]:
    """Drop the rows of a table of users or items that have no id, or one that came before.

    Args:
        frame: one row a user or item.
        key: the id column.
        strict: refuse a table with bad rows instead of dropping them.
        where: how to call the table in errors.

    Returns:
        The good rows in their order, ids as Int64 or String; and the report.

    Raises:
        SchemaError: the id column is missing.
        DataError: it cannot hold ids, or `strict` and a row is bad.
    """
    if key not in frame.columns:
        raise SchemaError(f"column {key!r} is missing", where=where, remedy=did_you_mean(key, frame.columns))
    faults = _Faults(len(frame))
    ids = _clean_ids(frame[key], "id", faults)
    ids = ids.cast(pl.String) if is_categorical(ids) else ids
    cleaned = faults.good_rows(frame.with_columns(ids))
    cleaned = faults.drop(cleaned, "the same id again", ~cleaned[key].is_first_distinct())
    return cleaned, faults.report(strict=strict, where=where)


class _Faults:
    """Rows found bad so far; each counts for the first cause that applies to it."""

    def __init__(self, rows: int) -> None:
        self.bad: NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self.causes: dict[str, int] = {}
        self.examples: dict[str, tuple[int, ...]] = {}
        self.notes: list[str] = []

    def add(self, cause: str, mask: pl.Series) -> None:
        """Mark the rows of a bool mask over all rows."""
        new = mask.to_numpy() & ~self.bad
        count = int(new.sum())
        if count:
            self.causes[cause] = count
            self.examples[cause] = tuple(np.flatnonzero(new)[:NUM_EXAMPLES].tolist())
            self.bad |= new

    def good_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of a frame of all rows that are not marked."""
        return frame.filter(pl.Series(~self.bad)) if self.bad.any() else frame

    def drop(self, frame: pl.DataFrame, cause: str, mask: pl.Series) -> pl.DataFrame:
        """Mark and drop some rows of a frame that `good_rows` returned."""
        if not mask.any():
            return frame
        among_all = np.zeros(len(self.bad), np.bool_)
        among_all[~self.bad] = mask.to_numpy()
        self.add(cause, pl.Series(among_all))
        return frame.filter(~mask)

    def report(self, *, strict: bool, where: str) -> CleaningReport:
        """The causes so far; refused when there is one and `strict` is set."""
        kept = len(self.bad) - int(self.bad.sum())
        report = CleaningReport(len(self.bad), kept, self.causes, self.examples, tuple(self.notes))
        if strict:
            report.refuse(where)
        return report


def _clean_ids(ids: pl.Series, what: str, faults: _Faults) -> pl.Series:
    kind = ids.dtype
    if kind.is_float() or kind.is_decimal():  # how a reader stores integers beside missing values
        numbers = ids.cast(pl.Float64)
        faults.add(f"missing {what}", (numbers.is_null() | numbers.is_nan()).fill_null(True))
        whole = numbers.cast(pl.Int64, strict=False)
        faults.add(f"{what} is not a whole number", (whole.cast(pl.Float64) != numbers).fill_null(True))
        return whole
    if kind.is_integer():
        whole = ids.cast(pl.Int64, strict=False)
        if whole.null_count() > ids.null_count():  # beyond 64 bits with sign
            whole = ids.cast(pl.String)
        faults.add(f"missing {what}", whole.is_null())
        return whole
    ids = ids if is_categorical(ids) else normalise_ids(ids)
    faults.add(f"missing {what}", _is_blank(ids))
    return ids


def _is_blank(texts: pl.Series) -> pl.Series:
    if not is_categorical(texts):
        return (texts.str.strip_chars() == "").fill_null(True)
    names = categories(texts)[1]
    blank = names.filter(names.str.strip_chars() == "")
    return (
        texts.is_null() if len(blank) == 0 else texts.cast(pl.String).is_in(blank.to_list()).fill_null(True)
    )


def _clean_times(times: pl.Series, faults: _Faults) -> pl.Series:
    seconds, note = parse_times(times)
    faults.notes.append(f"column {times.name!r} read as {note}")
    faults.add("missing time", times.is_null())
    faults.add("unparsable time", seconds.is_null())
    return seconds


def _clean_events(events: pl.Series, schema: Schema, faults: _Faults) -> pl.Series:
    types = events if is_categorical(events) else _cast(events, pl.String(), "event types must be strings")
    faults.add("missing event type", types.is_null())
    if schema.events:
        known = types.cast(pl.String).is_in(list(schema.events))
        faults.add("unknown event type", ~known.fill_null(False))
    return types


def _clean_labels(labels: pl.Series, faults: _Faults) -> pl.Series:
    numbers = labels
    if not labels.dtype.is_integer():
        texts = labels.cast(pl.String) if is_categorical(labels) else labels
        numbers = _cast(texts, pl.Float64(), "labels must be numbers")
    faults.add("missing label", labels.is_null())
    faults.add("label is not a number", numbers.is_null())
    if numbers.dtype.is_float():
        faults.add("label is NaN or infinite", ~numbers.is_finite().fill_null(True))
    return numbers


def _cast(column: pl.Series, dtype: pl.DataType, rule: str) -> pl.Series:
    if column.dtype.is_nested() or column.dtype.is_temporal() or column.dtype in (pl.Binary, pl.Object):
        raise SchemaError(
            f"{rule}, got {column.dtype}",
            where=f"column {column.name!r}",
            remedy="name another column in the schema",
        )
    return column.cast(dtype, strict=False)
