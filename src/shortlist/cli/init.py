"""`shortlist init`: look at the tables, write a commented shortlist.toml."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from shortlist.cli.findings import Findings
from shortlist.cli.guess_features import guess_features
from shortlist.cli.output import Output
from shortlist.cli.template import config_text
from shortlist.config import Config, load_config
from shortlist.data import Dataset, Feature, History, Id, Schema
from shortlist.datasets import from_files, guess_schema
from shortlist.datasets.files import expand, first_rows
from shortlist.errors import ConfigError, SchemaError

MOST_EVENT_TYPES = 50  # more are no types of events


def run(
    output: Output,
    events: Sequence[str],
    *,
    users: Sequence[str] | None,
    items: Sequence[str] | None,
    user_id: str | None,
    item_id: str | None,
    out: Path,
    force: bool,
) -> None:
    """Write a configuration that `shortlist train` accepts as it is.

    Args:
        output: where to print.
        events: files, folders or patterns of the interactions.
        users: likewise of the users, or None.
        items: likewise of the items, or None.
        user_id: column of user ids; None guesses.
        item_id: column of item ids; None guesses.
        out: the file to write.
        force: whether a file that is there is replaced.

    Raises:
        ConfigError: the file is there, or cannot be written.
        DataError: a table cannot be read, or no column looks like the ids.
    """
    _check_place(out, force=force)
    with output.step(f"reading {', '.join([*events, *(users or []), *(items or [])])}"):
        schema = _schema(events, user_id, item_id)
        data = from_files(list(events), users=users, items=items, schema=schema)
    paths = [[relative_to(out, path) for path in each or ()] for each in (events, users, items)]
    found = look_at(data, *paths)
    config = write_config(config_text(found), out, data)
    if data.report is not None:
        output.say(str(data.report))
    _tell(output, out, found, config, data)
    output.next("shortlist", "train", *([] if out == Path("shortlist.toml") else ["--config", str(out)]))


def look_at(
    data: Dataset, interactions: Sequence[str], users: Sequence[str], items: Sequence[str]
) -> Findings:
    """What there is to say about some tables.

    Args:
        data: the tables as read.
        interactions: their paths, as the configuration is to hold them.
        users: likewise.
        items: likewise.
    """
    types = _event_types(data)
    query: list[Feature] = [Id(data.schema.user_id), History(data.schema.item_id)]
    candidate: list[Feature] = [Id(data.schema.item_id)]
    taken = {feature.name for feature in (*query, *candidate)}
    if data.users is not None:
        query += guess_features(data.users, key=data.schema.user_id, taken=taken)
    if data.items is not None:
        columns = [name for name in data.items.columns if name != data.schema.user_id]
        candidate += guess_features(data.items.select(columns), key=data.schema.item_id, taken=taken)
    schema = data.schema
    if schema.event is not None and not types:
        schema = Schema(schema.user_id, schema.item_id, timestamp=schema.timestamp, label=schema.label)
    return Findings(
        interactions, users, items, schema, types, query, candidate, len(data), len(data.item_vocabulary) - 1
    )


def relative_to(out: Path, path: str) -> str:
    """A path or pattern as the configuration is to hold it: relative to its folder, unless it is absolute.

    Args:
        out: the configuration.
        path: relative to the working folder, or absolute.
    """
    if os.path.isabs(path) or path.startswith("~"):
        return path
    return Path(os.path.relpath(path, out.parent)).as_posix()


def write_config(text: str, out: Path, data: Dataset) -> Config:
    """Check a configuration as `shortlist train` would, and only then put it in its place.

    Args:
        text: of the file.
        out: its place.
        data: the tables that it names.

    Returns:
        The configuration.

    Raises:
        ConfigError: the file cannot be written.
    """
    aside = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        aside.write_text(text, encoding="utf-8")
        config = load_config(aside)
        config.check_columns(data)
        os.replace(aside, out)
    except OSError as error:
        raise ConfigError(
            f"{str(out)!r} cannot be written: {error.strerror}", remedy="choose another place with --out"
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return config


def _check_place(out: Path, *, force: bool) -> None:
    if out.suffix != ".toml" or "\0" in str(out):
        raise ConfigError(f"{str(out)!r} does not end in .toml", where="--out", remedy="name it so")
    if out.is_dir() or not out.parent.is_dir():
        problem = "is a folder" if out.is_dir() else f"has no folder {str(out.parent)!r}"
        raise ConfigError(f"{str(out)!r} {problem}", where="--out", remedy="choose another place")
    if out.exists() and not force:
        raise ConfigError(
            f"{str(out)!r} is there already",
            remedy="replace it with --force, or name another file with --out",
        )


def _schema(events: Sequence[str], user_id: str | None, item_id: str | None) -> Schema:
    path = expand(list(events))[0]
    try:
        return guess_schema(first_rows(path), user_id=user_id, item_id=item_id)
    except SchemaError as error:
        remedy = error.remedy
        if remedy.startswith("name it"):
            remedy = f"name it: --{'user' if 'users' in error.what else 'item'}-id COLUMN"
        raise SchemaError(error.what, where=str(path), remedy=remedy) from error


def _event_types(data: Dataset) -> list[str]:
    """The types of events that occur, the most frequent first; none where there are too many to be types."""
    if data.schema.event is None:
        return []
    types = data.interactions[data.schema.event].cast(pl.String)
    counts = types.value_counts(sort=True, name="count")
    names = [name for name in counts[types.name].to_list() if name]
    return names if len(names) <= MOST_EVENT_TYPES else []


def _tell(output: Output, out: Path, found: Findings, config: Config, data: Dataset) -> None:
    schema = config.schema
    columns = {"users": schema.user_id, "items": schema.item_id, "times": schema.timestamp}
    columns |= {"labels": schema.label, "event types": schema.event}
    known = {name: column for name, column in columns.items() if column is not None}
    features = {"users": config.query, "items": config.candidate}
    output.say(f"{data!r}")
    output.say("columns: " + ", ".join(f"{name} {column!r}" for name, column in known.items()))
    for side, each in features.items():
        output.say(f"features of the {side}: " + ", ".join(f"{type(f).__name__} {f.column!r}" for f in each))
    output.say(f"wrote {out}; its comments say what can be changed")
    output.document(
        {
            "config": str(out),
            "events": len(data),
            "users": len(data.user_vocabulary) - 1,
            "items": len(data.item_vocabulary) - 1,
            "dropped": {} if data.report is None else data.report.causes,
            "columns": known,
            "event_types": list(found.event_types),
            "features": {side: [f.to_dict() for f in each] for side, each in features.items()},
        }
    )
