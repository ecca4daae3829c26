"""Gowalla in LightGCN's split, a part of `quality`: two towers beside EASE, ALS and item neighbours.

Recall@20 and NDCG@20 over the whole catalogue without the user's train items, means over the users with test
events, as LightGCN and the leaderboard of BARS define them. The order of the files is not that of time, so a
history is all the user's other items.

The embedding has two halves: a low-pass filter of the user-item matrix, which is computed, and towers, which
are trained and given a small weight. `python -m benchmarks.quality_gowalla` prints how that weight and the
settings of ALS were chosen: on a part of the train events held out by `split_nearby`, for ALS over the most
popular items alone. Settings of the towers alone were chosen on a tenth of the train events, held out at
random. EASE has the setting of its published figure.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks.harness import Figure, mean_figure
from benchmarks.quality_filter import FilteredTowers, GraphFilter, split_nearby
from benchmarks.quality_sets import SetLoader, SetTowers, start_from_factors
from shortlist.models import ALS, EASE, ItemKNN, Popularity, Recommender

QUICK_USERS = 600  # of 29,858
K = 20
DIM, EPOCHS = 512, 4
BATCH = 512
FILTER_DIM = 1024
SHARE = 0.01  # of the towers' scores beside the filter's
SHARES = (0.0, 0.003, 0.01, 0.03, 0.1)
HELD_OUT = 0.2  # of a user's events
PUBLISHED_L2 = 80  # of EASE on the leaderboard
POPULAR = 10_000  # of 40,981 items, over which the settings of ALS are chosen
ALS_FACTORS = (128, 256, 512)
ALS_STRENGTHS = ((10.0, 4.0), (30.0, 40.0), (100.0, 60.0), (200.0, 100.0), (400.0, 100.0))  # of l2 and alpha


def figures(seeds: Sequence[int], *, quick: bool) -> list[Figure]:
    """The baselines once and the towers for each seed; `quick` takes the first users alone."""
    train, test = read(QUICK_USERS if quick else None)
    of_seeds = [_of_seed(train, test, seed) for seed in seeds]
    whole, towers = ([each[part] for each in of_seeds] for part in (0, 1))
    figures = [
        mean_figure("gowalla_recall20", [each["recall"] for each in whole], 0.1872),
        mean_figure("gowalla_ndcg20", [each["ndcg"] for each in whole], 0.1580),
        mean_figure("gowalla_towers_recall20", [each["recall"] for each in towers], None),
        mean_figure("gowalla_towers_ndcg20", [each["ndcg"] for each in towers], None),
    ]
    for name, model in baselines().items():
        found = measure(model.fit(train), test)
        figures += [Figure(f"gowalla_{name}_{metric}20", value) for metric, value in found.items()]
    return figures


def _of_seed(train: sl.Dataset, test: sl.Dataset, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    towers = build_towers(train, seed=seed)
    both = FilteredTowers(towers, GraphFilter(train, FILTER_DIM, seed=seed), share=SHARE)
    return measure(both, test), measure(towers, test)


def choose_share(seed: int) -> None:
    """Print what each weight of the towers' scores gives on train events that were held out together."""
    whole = read()[0]
    train, held = whole.split_at(split_nearby(whole, share=HELD_OUT, seed=seed))
    towers, fixed = build_towers(train, seed=seed), GraphFilter(train, FILTER_DIM, seed=seed)
    for share in SHARES:
        found = measure(FilteredTowers(towers, fixed, share=share), held)
        print(f"share {share:.3f}: recall@{K} {found['recall']:.4f}, NDCG@{K} {found['ndcg']:.4f}")


def choose_als(seed: int) -> None:
    """Print what each setting of ALS gives on such train events, among the most popular items."""
    whole = read()[0]
    rare = np.argsort(-np.bincount(whole.item_index), kind="stable")[POPULAR:]
    popular = whole.split_at(np.isin(whole.item_index, rare))[0]
    train, held = popular.split_at(split_nearby(popular, share=HELD_OUT, seed=seed))
    for factors, (l2, alpha) in product(ALS_FACTORS, ALS_STRENGTHS):
        found = measure(ALS(factors=factors, l2=l2, alpha=alpha).fit(train), held)
        settings = f"ALS, {factors} factors, l2 {l2:g}, alpha {alpha:g}"
        print(f"{settings}: recall@{K} {found['recall']:.4f}, NDCG@{K} {found['ndcg']:.4f}", flush=True)


def baselines() -> dict[str, Popularity | ItemKNN | ALS | EASE]:
    """Untrained baselines by the names of their figures."""
    return {
        "popularity": Popularity(),
        "item_knn": ItemKNN(neighbours=200, shrinkage=50),
        "als": ALS(factors=256, l2=200, alpha=100),
        "ease": EASE(l2=PUBLISHED_L2),
    }


def build_towers(train: sl.Dataset, *, seed: int) -> SetTowers:
    """Train two towers: the user is the history, and an item's embedding has a length of its own."""
    history = sl.History("item_id", length=1000, dropout=0)
    model = SetTowers(
        query=sl.Tower([history], dim=DIM, sparse=True),
        candidate=sl.Tower([sl.Id("item_id")], dim=DIM, normalise=False, sparse=True),
        task=sl.tasks.Retrieval(temperature=0.13),
    )
    start_from_factors(model, train, seed=seed)
    loader = SetLoader(train, model.fitted_space(), batch_size=256, seed=seed)
    model.fit(train, loader=loader, epochs=EPOCHS, learning_rate=2e-3, schedule="cosine", seed=seed)
    return model


def read(users: int | None = None) -> tuple[sl.Dataset, sl.Dataset]:
    """The train and the test part.

    Args:
        users: how many of the first users to keep; None keeps all.
    """
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / "gowalla"
    train, test = (_events(folder / f"{part}.txt.gz", users) for part in ("train", "test"))
    data = sl.Dataset(pl.concat([train, test]), sl.Schema(), name="gowalla")
    return data.split_at(np.arange(len(data)) >= len(train))


def _events(file: Path, users: int | None) -> pl.DataFrame:
    """A line is a user and the user's items."""
    with gzip.open(file, "rt", encoding="ascii") as lines:
        rows = [np.fromstring(line, np.int64, sep=" ") for line in islice(lines, users)]
    owners = np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows])
    return pl.DataFrame({"user_id": owners, "item_id": np.concatenate([row[1:] for row in rows])})


def measure(model: Recommender | FilteredTowers, test: sl.Dataset) -> dict[str, float]:
    """Recall and NDCG at 20 of the users' test items, train items excluded.

    Args:
        model: trained on the train part.
        test: the test part.
    """
    metrics = sl.metrics.RankingMetrics(ks=(K,))
    people, wanted = wanted_items(test)
    for part in torch.split(torch.arange(len(people)), BATCH):
        asking = people[part]
        items, _ = model.retrieve(test.requests_of(asking), K, exclude=test.seen.take(asking))
        metrics.update(items, wanted.take(part))
    found = metrics.compute()
    return {name: found[f"{name}@{K}"] for name in ("recall", "ndcg")}


def wanted_items(test: sl.Dataset) -> tuple[torch.Tensor, sl.Ragged]:
    """The people with test events, and their items."""
    owners = torch.from_numpy(test.person_index)
    order = owners.argsort(stable=True)
    people, counts = torch.unique(owners, return_counts=True)
    return people, sl.Ragged.from_lengths(torch.from_numpy(test.item_index)[order], counts)


if __name__ == "__main__":
    choose_share(seed=0)
    choose_als(seed=0)
