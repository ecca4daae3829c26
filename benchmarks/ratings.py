"""Predicted ratings: MovieLens-100K and 1M, 80/20 at random, root mean squared error of the test part.

A `Ranker` with a DeepFM body over the user, the user's age, occupation and gender, the film, its genres
and the films that the user had rated before. Epochs and weight decay were chosen on a tenth of the first
seed's train part; nothing is chosen on the test part. Beside it, what logistic regression's linear sibling
reaches (`…_linear_rmse`: a weight for every value and no interactions).
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

import shortlist as sl
from benchmarks.harness import Figure
from shortlist.nn.bodies import LR, Body, DeepFM

SEEDS = (0, 1, 2, 3, 4)
QUICK_RATINGS, QUICK_EPOCHS = 20_000, 2
RATE = 3e-3


@dataclass(frozen=True)
class Recipe:
    """How an edition is learned.

    Args:
        name: in the figures.
        target: of the error.
        seeds: of the split, the first weights and the order.
        epochs: how many.
        batch: ratings a step.
        decay: weight decay of the tables.
        history: how many of the films rated before are read; 0 for none.
        body: of the ranker.
    """

    name: str
    target: float
    seeds: Sequence[int]
    epochs: int
    batch: int
    decay: float
    history: int
    body: Body


RECIPES = {
    "100k": Recipe("ml100k", 0.935, SEEDS, 9, 1024, 1e-4, 200, DeepFM(hidden=(64,), dropout=0.3)),
    "1m": Recipe("ml1m", 0.87, SEEDS[:1], 6, 2048, 3e-5, 0, DeepFM(hidden=(64,), dropout=0.2)),
}


def run(*, quick: bool) -> Iterator[Figure]:
    """Both editions; `quick` takes a part of each, one seed and two epochs, without targets."""
    torch.set_num_threads(1)
    for edition, recipe in RECIPES.items():
        data = ratings(edition, rows=QUICK_RATINGS if quick else None)
        for suffix, body in (("", recipe.body), ("_linear", LR())):
            errors = [
                error(data, recipe, body, epochs=QUICK_EPOCHS if quick else recipe.epochs, seed=seed)
                for seed in (recipe.seeds[:1] if quick else recipe.seeds)
            ]
            deviation = f"± {statistics.stdev(errors):.4f}" if len(errors) > 1 else ""
            yield Figure(
                f"{recipe.name}{suffix}_rmse",
                statistics.mean(errors),
                deviation,
                None if quick or suffix else recipe.target,
                at_least=False,
                spread=(min(errors), max(errors)),
            )


def ratings(edition: str, *, rows: int | None = None) -> sl.Dataset:
    """An edition of MovieLens, or a random part of it.

    Args:
        edition: `"100k"` or `"1m"`.
        rows: how many ratings; None takes all.
    """
    data = sl.datasets.movielens(edition, folder=Path(os.environ.get("SHORTLIST_DATA", "../shared/data")))
    if rows is None:
        return data
    events: pl.DataFrame = data.interactions.sample(rows, seed=0)
    return sl.Dataset(events, data.schema, users=data.users, items=data.items)


def error(data: sl.Dataset, recipe: Recipe, body: Body, *, epochs: int, seed: int) -> float:
    """The error of one seed, of the weights after the last epoch.

    Args:
        data: all ratings.
        recipe: of the edition.
        body: of the ranker.
        epochs: how many.
        seed: of the split, the first weights and the order.
    """
    train, test = data.split_random(0.2, seed=seed)
    known: list[sl.data.Feature] = [sl.Category(name) for name in ("age", "occupation", "gender")]
    if recipe.history:
        known.append(sl.History("item_id", length=recipe.history, pooling="mean", dropout=0))
    ranker = sl.Ranker(
        [sl.Id("user_id"), *known],
        [sl.Id("item_id"), sl.Tags("genres")],
        body=body,
        dim=32,
        embedding_scale=0.01,
        loss="rating",
    )
    ranker.build(train, seed=seed)
    tables = [module for module in (ranker.fields, ranker.first_order) if module is not None]
    groups = [
        {"params": [each for module in tables for each in module.parameters()], "weight_decay": recipe.decay},
        {"params": list(ranker.network.parameters())},
    ]
    optimizer = torch.optim.Adam(groups, lr=RATE, fused=True)
    options = {"optimizer": optimizer, "learning_rate": None, "schedule": "cosine", "seed": seed}
    ranker.fit(train, epochs=epochs, batch_size=recipe.batch, **options)
    return ranker.validate(test)["rmse"]
