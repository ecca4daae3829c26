"""`shortlist loadtest`: what a server bears, by a trace or by requests drawn at random."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.cli.output import Output
from shortlist.errors import ConfigError, DataError, SchemaError
from shortlist.serving.loadtest import Load, Sent, Target, arrivals, replay, saturate, some_user

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
}
PLACES = ("path", "method")


def run(
    output: Output,
    url: str,
    *,
    trace: Path | None,
    speed: float,
    rate: float | None,
    seconds: float,
    connections: int,
    users: int,
    key: str,
) -> None:
    """Send requests and print how they were answered.

    Args:
        output: where to print.
        url: address of the server.
        trace: file of requests and their moments; None draws them.
        speed: how many times faster than it was recorded a trace is sent.
        rate: drawn requests a second; None sends as many as are answered.
        seconds: how long requests are drawn.
        connections: how many at most.
        users: whose ids are drawn, whole numbers from 0 on.
        key: API key, or an empty text.

    Raises:
        ConfigError: the address is none.
        DataError: the trace cannot be read.
    """
    target = Target.parse(url, key)
    draw = some_user(users)
    if trace is not None:
        work = replay(target, requests_of(trace, speed=speed), connections=connections)
    elif rate is not None:
        work = replay(target, arrivals(rate, seconds, draw), connections=connections)
    else:
        work = saturate(target, seconds, connections=connections, draw=draw)
    with output.step(f"asking {url}"):
        load = asyncio.run(work)
    _print(output, load)


def requests_of(file: Path, *, speed: float = 1.0) -> Iterator[Sent]:
    """The requests of a trace, in the order of their moments.

    Args:
        file: Parquet or JSON lines with a column `time` (seconds, or a moment) and the request's content: as
            `body`, or as columns such as `user` and `k`. Columns `path` and `method` say where it goes.
        speed: how many times faster than it was recorded.

    Raises:
        DataError: the file cannot be read, or has no moments.
    """
    reader = READERS.get(file.suffix)
    if reader is None:
        raise DataError(
            f"the ending {file.suffix!r} is unknown",
            where=str(file),
            remedy=f"use one of {', '.join(READERS)}",
        )
    try:
        table = reader(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"it cannot be read: {error}"[:300], where=str(file), remedy="check the file"
        ) from error
    if "time" not in table.columns or not len(table):
        raise SchemaError("a trace needs rows and a column 'time'", where=str(file), remedy="add them")
    moments = _moments(table["time"], file)
    return _sent(table.with_columns(time=moments).sort("time", maintain_order=True), speed)


def _moments(column: pl.Series, file: Path) -> pl.Series:
    """Seconds since the first request."""
    if column.dtype == pl.String:
        with contextlib.suppress(pl.exceptions.PolarsError):  # what follows refuses it
            column = column.str.to_datetime()
    if column.dtype.is_temporal():
        column = column.dt.epoch("us") / 1e6
    if not column.dtype.is_numeric() or column.null_count():
        raise SchemaError(
            f"'time' is {column.dtype} or has gaps", where=str(file), remedy="give seconds, or moments"
        )
    return column.cast(pl.Float64) - column.cast(pl.Float64).min()


def _sent(table: pl.DataFrame, speed: float) -> Iterator[Sent]:
    for row in table.iter_rows(named=True):
        due = row.pop("time") / speed
        place = {name: row.pop(name) for name in PLACES if name in row}
        body = row.get("body", row)
        text = body if isinstance(body, str) else json.dumps(_without_gaps(body), default=_plain)
        yield Sent(due, text.encode(), **{name: value for name, value in place.items() if value})


def _without_gaps(value: Any) -> Any:
    """A row without what is missing in it: tables have every column in every row."""
    if isinstance(value, dict):
        return {name: _without_gaps(each) for name, each in value.items() if each is not None}
    return value


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _print(output: Output, load: Load) -> None:
    found = load.summary
    if not found["requests"]:
        raise ConfigError("no request was sent", remedy="give more --seconds, or a trace with rows")
    output.table(
        ["answered/s", "shed/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"],
        [
            [
                f"{found[name]:.1f}"
                for name in ("rps", "shed_rps", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")
            ]
        ],
    )
    counts = [f"{count:,} with status {status}" for status, count in found["statuses"].items()]
    counts += [f"{count:,} without an answer ({what})" for what, count in found["failures"].items()]
    output.say(f"{found['requests']:,} requests in {found['seconds']:.1f} s: {', '.join(counts)}")
    output.document(found)
