"""Times of any common form to whole seconds since 1970."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import SchemaError

# A number of seconds below this lies before the year 5138; a number of milliseconds above it, after 1973.
LIMIT = 100_000_000_000

UNITS = (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9))

ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def parse_times(times: pl.Series) -> tuple[pl.Series, str]:
    """Read a column of times.

    Args:
        times: Datetime or Date; numbers since 1970 in seconds, milliseconds, microseconds or nanoseconds,
            whichever brings the median before the year 5138; or strings, each such a number or a date and
            time in the form of ISO 8601. A time without a zone is taken as UTC.

    Returns:
        Int64 seconds, rounded down, null where a value is null or no time before the year 5138; and a
        note that says how the column was read.

    Raises:
        SchemaError: the column is of another type.
    """
    kind = times.dtype
    if isinstance(kind, pl.Datetime):
        zone = f"zone {kind.time_zone}" if kind.time_zone else "no zone, taken as UTC"
        return _bounded(times.dt.epoch("s")), f"dates and times, {zone}"
    if kind == pl.Date:
        return _bounded(times.cast(pl.Int64) * 86_400), "dates, taken as midnight UTC"
    if kind.is_numeric():
        return _from_numbers(times)
    if kind == pl.String:
        return _from_strings(times)
    if kind == pl.Null:
        return times.cast(pl.Int64), "nothing but nulls"
    raise SchemaError(
        f"times must be dates, numbers or strings, got {kind}",
        where=f"column {times.name!r}",
        remedy="cast the column to Datetime",
    )


def epoch_seconds(times: pl.Series) -> NDArray[np.int64]:
    """Times of a clean column as whole seconds since 1970.

    Args:
        times: a Datetime or Date column, or an integer column of seconds; no nulls.

    Returns:
        `[rows]` int64, perhaps the column's own memory, not to be written to.

    Raises:
        SchemaError: the column is neither.
    """
    if times.dtype in (pl.Date, pl.Datetime):
        return times.cast(pl.Datetime("us")).dt.epoch("s").to_numpy()
    if times.dtype.is_integer():
        return times.cast(pl.Int64).to_numpy()
    raise SchemaError(
        f"times must be dates or whole seconds since 1970, got {times.dtype}",
        where=f"column {times.name!r}",
        remedy="read the table with shortlist.datasets, which parses times",
    )


def _bounded(seconds: pl.Series) -> pl.Series:
    low, high = seconds.min(), seconds.max()
    if low is None or (int(low) > -LIMIT and int(high) < LIMIT):  # type: ignore[arg-type]
        return seconds
    return seconds.set(~seconds.is_between(-LIMIT, LIMIT, closed="none").fill_null(True), None)


def _from_numbers(numbers: pl.Series) -> tuple[pl.Series, str]:
    if not numbers.dtype.is_integer():
        numbers = numbers.cast(pl.Float64)
        numbers = numbers.set(~numbers.is_finite().fill_null(True), None)
    unit, size = _unit(numbers)
    whole = (
        (numbers / size).floor() if numbers.dtype.is_float() else numbers.cast(pl.Int64, strict=False) // size
    )
    return _bounded(whole.cast(pl.Int64, strict=False)), f"{unit} since 1970"


def _unit(numbers: pl.Series) -> tuple[str, int]:
    low, high = (float(edge or 0) for edge in (numbers.min(), numbers.max()))  # type: ignore[arg-type]
    if max(-low, high) < LIMIT:
        return UNITS[0]
    middle = float(numbers.cast(pl.Float64).abs().median())  # type: ignore[arg-type]
    return next((unit for unit in UNITS if middle < LIMIT * unit[1]), UNITS[-1])


def _from_strings(texts: pl.Series) -> tuple[pl.Series, str]:
    clean = texts.str.strip_chars().str.replace(" ", "T", literal=True)
    seconds = pl.Series(texts.name, [None] * len(texts), dtype=pl.Int64)
    for form in ISO_FORMATS:
        if seconds.null_count() == texts.null_count():
            break
        zone = "UTC" if form.endswith("z") else None
        parsed = clean.str.strptime(pl.Datetime("us", zone), form, strict=False)
        seconds = seconds.fill_null(parsed.dt.epoch("s"))
    rest = clean.set(seconds.is_not_null(), None).cast(pl.Float64, strict=False)
    if rest.null_count() == len(rest):
        return _bounded(seconds), "strings in the form of ISO 8601, UTC where they name no zone"
    numbers, note = _from_numbers(rest)
    return _bounded(seconds).fill_null(numbers), f"strings of {note}"
