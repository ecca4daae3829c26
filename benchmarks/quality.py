"""How good the recommendations are, beside the simple baselines; each figure the mean of three seeds.

On MovieLens-100K each user's last event is held out and ranked among the full catalogue, seen items excluded.
And in three splits that others share: a random one of MovieLens-100K (`quality_tutorial`), Gowalla
(`quality_gowalla`) and MovieLens-1M (`quality_ncf`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

import shortlist as sl
from benchmarks import quality_gowalla, quality_ncf, quality_tutorial
from benchmarks.harness import Figure, mean_figure
from benchmarks.quality_hits import hit_rates
from shortlist.models import EASE, Popularity

SEEDS = (0, 1, 2)
QUICK_USERS = 100  # of 943


def run(*, quick: bool) -> list[Figure]:
    """All protocols; `quick` trains one seed on the first users' events, for which there are no targets."""
    seeds, users = (SEEDS[:1], QUICK_USERS) if quick else (SEEDS, None)
    figures = [*_last_out(seeds, users), *quality_tutorial.figures(seeds, users)]
    figures += [*quality_gowalla.figures(seeds, quick=quick), *quality_ncf.figures(seeds, quick=quick)]
    return [replace(figure, target=None) for figure in figures] if quick else figures


def _last_out(seeds: Sequence[int], users: int | None) -> list[Figure]:
    full = sl.datasets.movielens("100k")
    events = full.interactions if users is None else full.interactions.filter(pl.col("user_id") <= users)
    data = sl.Dataset(events, full.schema, users=full.users, items=full.items, name=full.name)
    train, test = data.split_leave_last_out()
    baselines = {"popularity": Popularity().fit(train), "ease": EASE().fit(train)}
    figures = [
        Figure(f"ml100k_lastout_{name}_ndcg10", hit_rates(model, test)["ndcg10"])
        for name, model in baselines.items()
    ]
    retrieved, ranked = [], []
    for seed in seeds:
        funnel = build_funnel(train, seed=seed)
        retrieved.append(hit_rates(funnel.retrievers[0].model, test)["hr100"])
        ranked.append(hit_rates(funnel, test)["ndcg10"])
    return [
        mean_figure("ml100k_lastout_funnel_ndcg10", ranked, 0.080),
        mean_figure("ml100k_lastout_retriever_hr100", retrieved, 0.58),
        *figures,
    ]


def build_funnel(train: sl.Dataset, *, seed: int) -> sl.Funnel:
    """The demo's funnel: two towers, then a ranker that learns from the events they had not seen."""
    from shortlist.cli.demo import train_funnel

    return train_funnel(train, seed=seed)
