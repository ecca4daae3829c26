"""The random split of `split-tutorial.npz` of MovieLens-100K, a part of `quality`: users and titles alone.

Each test event's title is ranked among all titles. `unseen` excludes the user's train items (but never the
target itself, which a user may have seen under another id), the others allow them, as the tutorial of
TensorFlow Recommenders measures.

`default_unseen` are two towers as the library sets them. `unseen` is an embedding of two halves as Gowalla's:
trained towers, and a low-pass filter of the user-item matrix, which is computed. Either half alone is
`towers_unseen` and `filter_unseen`. `python -m benchmarks.quality_tutorial` prints how cutoff and share were
chosen: on tenths of the train events, held out at random as the split's own test part was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

import shortlist as sl
from benchmarks.harness import Figure, mean_figure
from benchmarks.quality_filter import FilteredTowers, GraphFilter
from benchmarks.quality_hits import hit_rates
from shortlist.models import EASE, Recommender

POWER, CUTOFF = 0.25, 0.03  # of the filter
CUTOFFS = (0.03, 0.045, 0.06)
SHARE = 0.2  # of the towers' scores beside the filter's
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)
HELD_OUT = (7, 8)  # seeds of the tenths of the train events
EPOCHS = 12


def figures(seeds: Sequence[int], users: int | None) -> list[Figure]:
    """The towers for each seed, and once what needs none.

    Args:
        seeds: of the towers.
        users: how many of the first users to keep; None keeps all.
    """
    train, test = tutorial_split(users)
    towers = [build_towers(train, seed) for seed in seeds]
    fixed = build_filter(train)
    models: dict[str, Sequence[Recommender | FilteredTowers]] = {
        "ml100k_tutorial": [build_towers(train, seed, epochs=4, mask_seen=False) for seed in seeds],
        "ml100k_tutorial_default_unseen": [_default_model(train, seed) for seed in seeds],
        "ml100k_tutorial_unseen": [FilteredTowers(each, fixed, share=SHARE) for each in towers],
        "ml100k_tutorial_towers_unseen": towers,
        "ml100k_tutorial_filter_unseen": [FilteredTowers(towers[0], fixed, share=0.0)],
        "ml100k_tutorial_ease_unseen": [EASE().fit(train)],
    }
    targets = {
        "ml100k_tutorial": (0.060, 0.394),
        "ml100k_tutorial_default_unseen": (0.165, 0.629),
        "ml100k_tutorial_unseen": (0.176, 0.635),
    }
    found = []
    for prefix, each in models.items():
        hits = [hit_rates(model, test, seen_allowed=prefix == "ml100k_tutorial") for model in each]
        for k, target in zip((10, 100), targets.get(prefix, (None, None)), strict=True):
            found.append(mean_figure(f"{prefix}_top{k}", [one[f"hr{k}"] for one in hits], target))
    return found


def choose_halves() -> None:
    """Print what each cutoff of the filter and each share of the towers give on train events held out."""
    whole = tutorial_split()[0]
    parts = [whole.split_random(0.1, seed=seed) for seed in HELD_OUT]
    towers = [build_towers(train, 0) for train, _ in parts]
    for cutoff in CUTOFFS:
        filters = [build_filter(train, cutoff) for train, _ in parts]
        for share in SHARES:
            models = [FilteredTowers(*halves, share=share) for halves in zip(towers, filters, strict=True)]
            hits = [hit_rates(model, held) for model, (_, held) in zip(models, parts, strict=True)]
            found = [f"top-{k} {np.mean([each[f'hr{k}'] for each in hits]):.4f}" for k in (10, 100)]
            print(f"cutoff {cutoff:.3f}, share {share:.1f}:", *found, flush=True)


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


def build_towers(
    train: sl.Dataset, seed: int, *, epochs: int = EPOCHS, mask_seen: bool = True
) -> sl.TwoTower:
    """Whole histories, plain means; epochs and mask chosen on a tenth of the train rows."""
    history = sl.History("movie_title", length=1000, pooling="mean")
    model = sl.TwoTower(
        query=sl.Tower([history]), candidate=sl.Tower([sl.Id("movie_title")]), mask_seen=mask_seen
    )
    model.fit(train, epochs=epochs, seed=seed)
    return model


def build_filter(train: sl.Dataset, cutoff: float = CUTOFF) -> GraphFilter:
    """The filter half, of all singular vectors."""
    return GraphFilter(train, len(train.item_vocabulary), seed=0, power=POWER, cutoff=cutoff)


def _default_model(train: sl.Dataset, seed: int) -> sl.TwoTower:
    """Every hyper-parameter as the library sets it."""
    model = sl.TwoTower(
        query=sl.Tower([sl.History("movie_title")]), candidate=sl.Tower([sl.Id("movie_title")])
    )
    model.fit(train, seed=seed)
    return model


if __name__ == "__main__":
    choose_halves()
