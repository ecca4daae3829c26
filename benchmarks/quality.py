"""How good the recommendations are, beside the simple baselines; each figure the mean of three seeds.

On MovieLens-100K, over the full catalogue:

- `lastout`: each user's last event is held out, seen items are excluded.
- `tutorial`: the random 80/20 split of `split-tutorial.npz`, users and titles alone, each test event ranked
  among all titles; `unseen` excludes the user's train items (but never the target itself, which a user may
  have seen under another id), the others allow them, as the tutorial of TensorFlow Recommenders measures.

And in two splits that papers share: Gowalla (`quality_gowalla`) and MovieLens-1M (`quality_ncf`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

import shortlist as sl
from benchmarks import quality_gowalla, quality_ncf
from benchmarks.harness import Figure, mean_figure
from shortlist.models import EASE, Popularity, Recommender

SEEDS = (0, 1, 2)
QUICK_USERS = 100  # of 943


def run(*, quick: bool) -> list[Figure]:
    """All protocols; `quick` trains one seed on the first users' events, for which there are no targets."""
    seeds, users = (SEEDS[:1], QUICK_USERS) if quick else (SEEDS, None)
    figures = [*_last_out(seeds, users), *_tutorial(seeds, users)]
    figures += [*quality_gowalla.figures(seeds, quick=quick), *quality_ncf.figures(seeds, quick=quick)]
    return [replace(figure, target=None) for figure in figures] if quick else figures


def _last_out(seeds: Sequence[int], users: int | None) -> list[Figure]:
    full = sl.datasets.movielens("100k")
    events = full.interactions if users is None else full.interactions.filter(pl.col("user_id") <= users)
    data = sl.Dataset(events, full.schema, users=full.users, items=full.items, name=full.name)
    train, test = data.split_leave_last_out()
    baselines = {"popularity": Popularity().fit(train), "ease": EASE().fit(train)}
    figures = [
        Figure(f"ml100k_lastout_{name}_ndcg10", _hits(model, test)["ndcg10"])
        for name, model in baselines.items()
    ]
    retrieved, ranked = [], []
    for seed in seeds:
        funnel = build_funnel(train, seed=seed)
        retrieved.append(_hits(funnel.retrievers[0].model, test)["hr100"])
        ranked.append(_hits(funnel, test)["ndcg10"])
    return [
        mean_figure("ml100k_lastout_funnel_ndcg10", ranked, 0.080),
        mean_figure("ml100k_lastout_retriever_hr100", retrieved, 0.58),
        *figures,
    ]


def build_funnel(train: sl.Dataset, *, seed: int) -> sl.Funnel:
    """The demo's funnel: two towers, then a ranker that learns from the events they had not seen."""
    from shortlist.cli.demo import train_funnel

    return train_funnel(train, seed=seed)


def _tutorial(seeds: Sequence[int], users: int | None) -> list[Figure]:
    train, test = tutorial_split(users)
    default = [_default_model(train, seed) for seed in seeds]
    tuned = [_tutorial_model(train, seed, epochs=12, mask_seen=True) for seed in seeds]
    allowed = [_tutorial_model(train, seed, epochs=4, mask_seen=False) for seed in seeds]
    figures = []
    for prefix, models, seen, targets in (
        ("ml100k_tutorial", allowed, True, (0.060, 0.394)),
        ("ml100k_tutorial_default_unseen", default, False, (0.165, 0.629)),
        ("ml100k_tutorial_unseen", tuned, False, (0.176, 0.635)),
    ):
        hits = [_hits(model, test, seen_allowed=seen) for model in models]
        for k, target in zip((10, 100), targets, strict=True):
            figures.append(mean_figure(f"{prefix}_top{k}", [each[f"hr{k}"] for each in hits], target))
    return figures


def tutorial_split(users: int | None = None) -> tuple[sl.Dataset, sl.Dataset]:
    """MovieLens-100K as users and titles, without times, in the tutorial's two parts.

    Args:
        users: how many of the first users to keep; None keeps all.
    """
    full = sl.datasets.movielens("100k")
    titles = full.items.select("item_id", movie_title="title")
    events = full.interactions.join(titles, on="item_id", maintain_order="left").select(
        "user_id", "movie_title"
    )
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data"))
    test = np.zeros(len(events), bool)
    test[np.load(folder / "ml-100k" / "split-tutorial.npz")["test"]] = True
    if users is not None:
        kept = (events["user_id"] <= users).to_numpy()
        events, test = events.filter(pl.Series(kept)), test[kept]
    items = titles.select("movie_title").unique(maintain_order=True)
    return sl.Dataset(events, sl.Schema(item_id="movie_title"), items=items, name="tutorial").split_at(test)


def _default_model(train: sl.Dataset, seed: int) -> sl.TwoTower:
    """Every hyper-parameter as the library sets it."""
    model = sl.TwoTower(
        query=sl.Tower([sl.History("movie_title")]), candidate=sl.Tower([sl.Id("movie_title")])
    )
    model.fit(train, seed=seed)
    return model


def _tutorial_model(train: sl.Dataset, seed: int, *, epochs: int, mask_seen: bool) -> sl.TwoTower:
    """Whole histories, plain means; epochs and mask chosen on a tenth of the train rows."""
    history = sl.History("movie_title", length=1000, pooling="mean")
    model = sl.TwoTower(
        query=sl.Tower([history]), candidate=sl.Tower([sl.Id("movie_title")]), mask_seen=mask_seen
    )
    model.fit(train, epochs=epochs, seed=seed)
    return model


def _hits(
    model: Recommender | sl.Funnel, test: sl.Dataset, *, seen_allowed: bool = False
) -> dict[str, float]:
    """Hit rates and NDCG of each test event's item, by the position in the model's list."""
    rows = torch.from_numpy(test.targets)
    targets, people = torch.from_numpy(test.item_index)[rows], torch.from_numpy(test.person_index)[rows]
    exclude = None if seen_allowed else _without(test.seen.take(people), targets)
    places = []
    for part in torch.split(torch.arange(len(rows)), 2048):
        hidden = None if exclude is None else exclude.take(part)
        items, _ = model.retrieve(test.requests(rows[part]), 100, exclude=hidden)
        found = items == targets[part][:, None]
        places.append(torch.where(found.any(1), found.float().argmax(1), 10**6))
    place = torch.cat(places)
    return {
        "hr10": float((place < 10).float().mean()),
        "hr100": float((place < 100).float().mean()),
        "ndcg10": float(torch.where(place < 10, 1 / torch.log2(place + 2.0), 0.0).mean()),
    }


def _without(lists: sl.Ragged, targets: Tensor) -> sl.Ragged:
    kept = lists.values != targets[lists.row_ids()]
    return sl.Ragged.from_lengths(
        lists.values[kept], torch.bincount(lists.row_ids()[kept], minlength=len(lists))
    )
