"""Run the command line in this process, on a small shop in files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from typer.testing import CliRunner

from shortlist.cli import app
from shortlist.datasets import synthetic


@dataclass(frozen=True)
class Answer:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def shortlist(*arguments: object) -> Answer:
    """Run `shortlist` with these arguments; only exits are caught, so that a crash fails the test."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def write_shop(folder: Path, kind: str = "parquet", *, events: int = 1500, integer_ids: bool = False) -> None:
    """The tables events, users and items of a small shop, in CSV or Parquet."""
    data = synthetic(users=80, items=110, events=events)
    assert data.users is not None
    assert data.items is not None
    for name, table in {"events": data.interactions, "users": data.users, "items": data.items}.items():
        if integer_ids:
            ids = [column for column in ("user_id", "item_id") if column in table.columns]
            table = table.with_columns(pl.col(ids).str.slice(1).cast(pl.Int64))
        if kind == "parquet":
            table.write_parquet(folder / f"{name}.parquet")
        else:
            lists = [column for column in table.columns if table[column].dtype == pl.List]
            table.with_columns(pl.col(lists).list.join("|")).write_csv(folder / f"{name}.csv")


def make_quick(file: Path, *, extra: str = "") -> None:
    """Change a configuration that `init` wrote so that training takes a moment."""
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"# dim = 128 +#", "dim = 8  #", text).replace("# epochs = 10 ", "epochs = 1 ")
    text = (
        text.replace("epochs = 4 ", "epochs = 1 ")
        .replace("k = 200\n", "k = 40\n")
        .replace("k = 100\n", "k = 20\n")
    )
    file.write_text(text + extra, encoding="utf-8")


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    found = sorted(each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in found}
