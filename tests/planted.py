"""A small made-up shop whose users keep to one group of items each, with every kind of column."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl

from shortlist.data import Category, Dataset, History, Id, Number, Schema, Tags, Text, Timestamp, Vector
from shortlist.models import TwoTower
from shortlist.nn import Tower
from shortlist.tasks import Retrieval

GROUPS = ("red", "green", "blue", "grey")
USERS, ITEMS_A_GROUP, EVENTS_A_USER = 80, 12, 9
ITEMS = len(GROUPS) * ITEMS_A_GROUP
START = 1_700_000_000


@cache
def planted(seed: int = 0) -> Dataset:
    """Each user takes nine of the own group's twelve items, one a day; those of low number more often."""
    random = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in ("user_id", "item_id", "time", "rating", "device")}
    chance = np.linspace(2, 0.5, ITEMS_A_GROUP) / np.linspace(2, 0.5, ITEMS_A_GROUP).sum()
    for user in range(USERS):
        own = np.arange(ITEMS_A_GROUP) * len(GROUPS) + user % len(GROUPS)
        taken = random.choice(own, EVENTS_A_USER, replace=False, p=chance)
        for day, item in enumerate(taken):
            rows["user_id"].append(f"u{user:03}")
            rows["item_id"].append(f"i{item:03}")
            rows["time"].append(START + day * 86_400 + user)
            rows["rating"].append(float(random.integers(1, 6)))
            rows["device"].append(random.choice(["phone", "desk"]))
    return Dataset(
        pl.DataFrame(rows),
        Schema(timestamp="time", label="rating"),
        users=_users(random),
        items=_items(random),
        name="planted",
    )


def _users(random: np.random.Generator) -> pl.DataFrame:
    names = [f"u{user:03}" for user in range(USERS)]
    return pl.DataFrame({"user_id": names, "age": random.integers(18, 80, USERS)})


def _items(random: np.random.Generator) -> pl.DataFrame:
    groups = [GROUPS[item % len(GROUPS)] for item in range(ITEMS)]
    return pl.DataFrame(
        {
            "item_id": [f"i{item:03}" for item in range(ITEMS)],
            "title": [f"A {group} thing {item}" for item, group in enumerate(groups)],
            "colours": [[group, "any"] for group in groups],
            "group": groups,
            "price": random.uniform(1, 50, ITEMS),
            "picture": random.normal(size=(ITEMS, 3)).tolist(),
        }
    )


QUERY = (
    Id("user_id"),
    Number("age", buckets=4),
    Timestamp("time"),
    Category("device"),
    History("item_id", length=20, dropout=0.2),
    History("group", name="groups_before", length=5, pooling="mean"),
)
CANDIDATE = (
    Id("item_id"),
    Text("title", buckets=64),
    Tags("colours"),
    Category("group"),
    Number("price"),
    Vector("picture"),
)


def rich_towers(**settings: Any) -> TwoTower:
    """Two towers that read every kind of feature, through hidden layers."""
    towers = [Tower(features, dim=8, hidden=(16,), dropout=0.1) for features in (QUERY, CANDIDATE)]
    return TwoTower(towers[0], towers[1], **settings)


def plain_towers(**settings: Any) -> TwoTower:
    """Two towers that read ids and histories."""
    return TwoTower(
        Tower([Id("user_id"), History("item_id", length=20)], dim=8),
        Tower([Id("item_id")], dim=8),
        **({"task": Retrieval(temperature=0.2)} | settings),
    )


@cache
def parts(seed: int = 0) -> tuple[Dataset, Dataset]:
    """Train and test parts: each user's last event is held out."""
    return planted(seed).split_leave_last_out()


@cache
def trained_towers() -> TwoTower:
    """Plain towers that have learned the groups; not to be trained further."""
    model = plain_towers()
    model.fit(parts()[0], epochs=15, batch_size=128, learning_rate=0.02)
    return model
