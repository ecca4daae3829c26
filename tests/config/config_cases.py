"""A small shop, and how to write and read a configuration of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from shortlist.config import Config, load_config
from shortlist.data import Dataset
from shortlist.datasets import synthetic

DATA = """\
[data]
interactions = "events.parquet"
users = "users.parquet"
items = "items.parquet"
timestamp = "timestamp"
"""
SMALL = "[retriever]\ndim = 8\n[training]\nepochs = 1\n"


@cache
def shop() -> Dataset:
    return synthetic(users=60, items=100, events=900)


def write_tables(folder: Path) -> None:
    data = shop()
    assert data.users is not None
    assert data.items is not None
    data.interactions.write_parquet(folder / "events.parquet")
    data.users.write_parquet(folder / "users.parquet")
    data.items.write_parquet(folder / "items.parquet")


def config_of(folder: Path, text: str, *, data: str = DATA) -> Config:
    file = folder / "shortlist.toml"
    file.write_text(data + text, encoding="utf-8")
    return load_config(file)
