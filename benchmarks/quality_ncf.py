"""MovieLens-1M as the NCF paper splits it, a part of `quality`: two towers beside the simple baselines.

Each user's last event stands among 99 given items that the user never rated: hit rate and NDCG at 10. The
train events of a user stand in the order of time, which the towers' histories read and the baselines do not.
Settings were chosen on each user's last train event.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

import shortlist as sl
from benchmarks.harness import Figure, mean_figure
from shortlist.models import ALS, EASE, ItemKNN, Popularity, Recommender

QUICK_USERS = 200  # of 6,040
K, EPOCHS = 10, 2


def figures(seeds: Sequence[int], *, quick: bool) -> list[Figure]:
    """The baselines once and the towers for each seed; `quick` takes the first users alone."""
    train, test, candidates = read(QUICK_USERS if quick else None)
    towers = [measure(build_towers(train, seed=seed), test, candidates) for seed in seeds]
    figures = [
        mean_figure("ncf_ml1m_hr10", [each["hr"] for each in towers], 0.729),
        mean_figure("ncf_ml1m_ndcg10", [each["ndcg"] for each in towers], 0.452),
    ]
    for name, model in baselines().items():
        found = measure(model.fit(train), test, candidates)
        figures += [Figure(f"ncf_ml1m_{name}_{metric}10", value) for metric, value in found.items()]
    return figures


def baselines() -> dict[str, Popularity | ItemKNN | ALS | EASE]:
    """Untrained baselines by the names of their figures."""
    return {"popularity": Popularity(), "item_knn": ItemKNN(), "als": ALS(), "ease": EASE()}


def build_towers(train: sl.Dataset, *, seed: int) -> sl.TwoTower:
    """Train two towers: the user is the last few films and the last hundred."""
    histories = [
        sl.History("item_id", length=100),
        sl.History("item_id", length=8, dropout=0.2, name="recent"),
    ]
    model = sl.TwoTower(query=sl.Tower(histories, dim=64), candidate=sl.Tower([sl.Id("item_id")], dim=64))
    model.fit(train, epochs=EPOCHS, batch_size=4096, learning_rate=5e-3, schedule="cosine", seed=seed)
    return model


def read(users: int | None = None) -> tuple[sl.Dataset, sl.Dataset, Tensor]:
    """The train part, the test part, and for each test event 100 item indices, the wanted one last.

    Args:
        users: how many of the first users to keep; None keeps all.
    """
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / "ncf"
    train, test = (_events(folder / file) for file in ("ml-1m.train.rating.gz", "ml-1m.test.rating"))
    with gzip.open(folder / "ml-1m.test.negative.gz", "rt", encoding="ascii") as lines:
        negatives = np.array([line.split("\t")[1:] for line in lines], np.int64)  # after "(user,item)"
    if users is not None:
        train, test = (part.filter(pl.col("user_id") < users) for part in (train, test))
    events = pl.concat([train, test]).with_row_index("time")
    items = pl.DataFrame({"item_id": np.unique(np.append(negatives, events["item_id"]))})
    data = sl.Dataset(events, sl.Schema(timestamp="time"), items=items, name="ncf")
    parts = data.split_at(np.arange(len(data)) >= len(train))
    given = np.column_stack([negatives[: len(test)], test["item_id"]])
    encoded = parts[0].item_vocabulary.encode(pl.Series(given.ravel()))
    return *parts, torch.from_numpy(encoded).view(given.shape)


def _events(file: Path) -> pl.DataFrame:
    events = pl.read_csv(file, separator="\t", has_header=False, columns=[0, 1])
    events.columns = ["user_id", "item_id"]
    return events


def measure(model: Recommender, test: sl.Dataset, candidates: Tensor) -> dict[str, float]:
    """Hit rate and NDCG at 10 of the test items among their candidates; ties count against them.

    Args:
        model: trained on the train part.
        test: the test part.
        candidates: `[events, 100]` int64 item indices, the wanted one last.
    """
    metrics = sl.metrics.RankingMetrics(ks=(K,))
    for rows in torch.split(torch.arange(len(test)), 1024):
        scores = model.score(test.requests(rows), candidates[rows])
        order = scores.argsort(dim=1, descending=True, stable=True)
        wanted = candidates[rows, -1:]
        metrics.update(candidates[rows].gather(1, order), sl.Ragged.from_lists(wanted.tolist()))
    found = metrics.compute()
    return {"hr": found[f"hit_rate@{K}"], "ndcg": found[f"ndcg@{K}"]}
