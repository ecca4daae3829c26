"""Small data with known right answers, and MovieLens-100K in the two splits that figures are quoted for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.schema import Schema

ITEMS, USERS = 24, 60


def checkerboard() -> Dataset:
    """Two colours, odd and even ids: a user takes five of the twelve items of the own colour."""
    generator = np.random.default_rng(7)
    users, items = [], []
    for user in range(USERS):
        taken = generator.choice(np.arange(user % 2, ITEMS, 2), 5, replace=False)
        users += [user] * 5
        items += taken.tolist()
    table = pl.DataFrame({"user_id": users, "item_id": items, "time": range(len(users))})
    return Dataset(table, Schema(timestamp="time"), items=pl.DataFrame({"item_id": range(ITEMS)}))


def events(rows: list[tuple[int, int]], *, items: int, **columns: list[object]) -> Dataset:
    """A dataset of (user, item) pairs over items 1..`items`, with further columns and their schema."""
    table = pl.DataFrame({"user_id": [u for u, _ in rows], "item_id": [i for _, i in rows], **columns})
    schema = Schema(timestamp="time" if "time" in columns else None)
    return Dataset(table, schema, items=pl.DataFrame({"item_id": range(1, items + 1)}))


def asking(*histories: list[int]) -> Requests:
    """Requests of unknown users with these histories."""
    return Requests.from_history(Ragged.from_lists(histories))


@cache
def movielens_last_out(folder: Path) -> tuple[Dataset, Dataset]:
    """Each user's last event held out; the catalogue holds all 1,682 films."""
    ratings = _ratings(folder)
    films = pl.DataFrame({"item_id": range(1, 1683)})
    return Dataset(ratings, Schema(timestamp="time"), items=films).split_leave_last_out()


@cache
def movielens_tutorial(folder: Path) -> tuple[Dataset, Dataset]:
    """The random 80/20 split of TensorFlow Recommenders' tutorial; items are the 1,664 distinct titles."""
    lines = (folder / "u.item").read_text(encoding="latin-1").splitlines()
    titles = {int(number): title for number, title in (line.split("|")[:2] for line in lines)}
    ratings = _ratings(folder).with_columns(pl.col("item_id").replace_strict(titles))
    films = pl.DataFrame({"item_id": sorted(set(titles.values()))})
    with np.load(folder / "split-tutorial.npz") as split:
        test = np.zeros(len(ratings), bool)
        test[split["test"]] = True
    return Dataset(ratings, Schema(), items=films).split_at(test)


def _ratings(folder: Path) -> pl.DataFrame:
    columns = np.loadtxt(folder / "u.data", dtype=np.int64)
    return pl.DataFrame({"user_id": columns[:, 0], "item_id": columns[:, 1], "time": columns[:, 3]})


def places(model: Any, train: Dataset, test: Dataset) -> torch.Tensor:
    """The 0-based place of each test event's item among the items that its user has not seen.

    As in the published figures, a held-out item that the user had also seen in training keeps its place.
    """
    people = torch.from_numpy(test.person_index[test.targets].copy())
    wanted = torch.from_numpy(test.item_index[test.targets].copy())[:, None]
    asked, row = torch.unique(people, return_inverse=True)
    items = torch.arange(1, len(test.item_vocabulary))
    scores = model.score(train.requests_of(asked), items.repeat(len(asked), 1))
    own = scores[row].gather(1, wanted - 1)
    seen = test.seen.take(asked)
    scores[seen.row_ids(), seen.values - 1] = -torch.inf
    others = scores[row]
    return ((others > own) | ((others == own) & (items < wanted))).sum(1)


def hit_rate(found: torch.Tensor, k: int) -> float:
    """Share of the events whose item is among the first k."""
    return float((found < k).double().mean())


def ndcg(found: torch.Tensor, k: int) -> float:
    """Mean of `1 / log2(place + 2)`, 0 beyond k."""
    return float(torch.where(found < k, 1 / torch.log2(found + 2.0), 0).double().mean())
