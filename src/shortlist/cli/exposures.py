"""`shortlist exposures`: what users were shown in experiments, as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from shortlist.cli.output import Output
from shortlist.errors import ConfigError

WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
    ".jsonl": pl.DataFrame.write_ndjson,
}


def run(output: Output, file: Path, *, store: str, experiment: str | None) -> None:
    """Write the exposures of a store into a file.

    Args:
        output: where to print.
        file: to write; its ending says how.
        store: address of the store.
        experiment: name of the one whose exposures are wanted; None for all.

    Raises:
        ConfigError: the file's ending is unknown, or the address is no store's.
        StoreError: the store cannot be opened.
    """
    from shortlist.serving.stores import exposure_table, open_store

    write = WRITERS.get(file.suffix)
    if write is None:
        raise ConfigError(
            f"the ending {file.suffix!r} is unknown",
            where=str(file),
            remedy=f"use one of {', '.join(WRITERS)}",
        )
    if store.startswith("sqlite:") and not Path(store.removeprefix("sqlite:///")).exists():
        raise ConfigError("there is no such store", where=store, remedy="name the one that the server uses")
    opened = open_store(store)
    try:
        with output.step("reading exposures"):
            table = exposure_table(opened, experiment=experiment)
    finally:
        opened.close()
    write(table, file)
    counts = table.group_by("experiment", "arm", "shown").len("lists").sort("experiment", "arm")
    rows = [
        [row["experiment"], row["arm"], "yes" if row["shown"] else "no", str(row["lists"])]
        for row in counts.to_dicts()
    ]
    output.table(["experiment", "arm", "shown", "lists"], rows)
    output.say(f"{len(table):,} exposures are in {file}")
    output.document({"file": str(file), "exposures": len(table), "arms": counts.to_dicts()})
