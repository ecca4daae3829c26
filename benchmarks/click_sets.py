"""The data of `click_models`: Frappe and MovieLens-1M as clicks, split at random; arrays for the peers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.features import Feature
from shortlist.data.loader import BatchLoader
from shortlist.data.ragged import Ragged

# In the order of the columns in the libFM files.
FRAPPE = (
    "user_id", "item_id", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city",
)  # fmt: skip
CLICK = 4  # the lowest rating that counts as one
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class ClickSet:
    """Clicks and what is known of each.

    Args:
        name: in the figures.
        events: with `label` 0 or 1.
        query: features of the request.
        candidate: features of the item.
        users: one row a user, or None.
        items: one row an item, or None.
        timestamp: column of the moments, or None.
    """

    name: str
    events: pl.DataFrame
    query: tuple[Feature, ...]
    candidate: tuple[Feature, ...]
    users: pl.DataFrame | None = None
    items: pl.DataFrame | None = None
    timestamp: str | None = None

    def split(self, seed: int) -> list[sl.Dataset]:
        """Train, validation and test parts, 80/10/10 at random; the last two know the first's events."""
        order = np.random.default_rng(seed).permutation(len(self.events))
        tenth = len(order) // 10
        rows = {"validation": order[:tenth], "test": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
        schema = sl.Schema(label="label", timestamp=self.timestamp)
        parts: list[sl.Dataset] = []
        for part in PARTS:
            events = self.events[np.sort(rows[part])]
            past = parts[0] if parts else None
            parts.append(sl.Dataset(events, schema, users=self.users, items=self.items, name=part, past=past))
        return parts

    def arrays(self, space: FeatureSpace, part: sl.Dataset) -> dict[str, NDArray[np.generic]]:
        """A part as the indices that our own features have; lists of indices are padded with 0.

        Args:
            space: the features, as they learned from the train part.
            part: any part.
        """
        rows = torch.arange(len(part))
        loader = BatchLoader(part, space, batch_size=len(rows), rows=rows, shuffle=False)
        batch = loader.batch(rows)
        columns = {}
        for feature in (*self.query, *self.candidate):
            entry = batch[feature.name]
            if isinstance(entry, Ragged):
                entry = entry.to_padded(_width(space, feature) or 1)
            columns[feature.name] = entry.numpy()
        return columns | {"label": batch["label"].numpy()}

    def described(self, space: FeatureSpace) -> dict[str, dict[str, object]]:
        """How many indices each feature has, and how wide its lists are padded.

        Args:
            space: the features, as they learned from the train part.
        """
        return {
            each.name: {"size": space.encodings[each.name].size, "width": _width(space, each)}
            for each in (*self.query, *self.candidate)
        }


def frappe(*, rows: int | None = None) -> ClickSet:
    """App usage and as many apps again that were not used, with the context of each.

    Args:
        rows: how many to take, at random; None takes all 86,582.
    """
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / "frappe"
    parts = [
        pl.read_csv(
            folder / f"frappe.{part}.libfm.gz",
            separator=" ",
            has_header=False,
            new_columns=["label", *FRAPPE],
        )
        for part in ("validation", "test")
    ]
    fields = [pl.col(name).str.strip_suffix(":1").cast(pl.Int64) for name in FRAPPE]
    events = _some(pl.concat(parts).with_columns(*fields, label=(pl.col("label") > 0).cast(pl.Float32)), rows)
    context = (sl.Category(name) for name in FRAPPE[2:])
    items = events.select("item_id").unique(maintain_order=True)  # those of the test part are known to exist
    query, candidate = (sl.Id("user_id"), *context), (sl.Id("item_id"),)
    return ClickSet("frappe", events, query, candidate, items=items)


def movielens(*, rows: int | None = None) -> ClickSet:
    """MovieLens-1M: a rating of 4 or 5 is a click; user, film, genres, age, gender, occupation and time.

    Args:
        rows: how many ratings to take, at random; None takes all.
    """
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data"))
    data = sl.datasets.movielens("1m", folder=folder)
    moment = pl.from_epoch("timestamp")
    events = data.interactions.select(
        "user_id",
        "item_id",
        "timestamp",
        hour=moment.dt.hour(),
        weekday=moment.dt.weekday(),
        day=pl.col("timestamp"),
        label=(pl.col("rating") >= CLICK).cast(pl.Float32),
    )
    known = [sl.Category(name) for name in ("gender", "age", "occupation", "hour", "weekday")]
    return ClickSet(
        "ml1m",
        _some(events, rows),
        (sl.Id("user_id"), *known, sl.Number("day", buckets=50)),
        (sl.Id("item_id"), sl.Tags("genres")),
        users=data.users,
        items=data.items,
        timestamp="timestamp",
    )


def _width(space: FeatureSpace, feature: Feature) -> int | None:
    """The longest list of an item; None for a feature of one index."""
    column = space.item_columns.get(feature.name)
    return int(column.lengths.max()) if isinstance(column, Ragged) else None


def _some(events: pl.DataFrame, rows: int | None) -> pl.DataFrame:
    return events if rows is None else events.sample(rows, seed=0, shuffle=True)
