"""Scoring 500 candidates for one user with the default ranker, as the server's ranking stage does it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks.harness import Figure, interleave
from shortlist.data.candidates import Candidates
from shortlist.data.requests import Requests
from shortlist.models.ranking.list_loader import list_batch

CANDIDATES, ITEMS, USERS = 500, 20_000, 1_000
REPEATS, QUICK_REPEATS = 1_000, 200
TARGET_MS = 1.0
COUNTRIES, BRANDS, TAGS = 40, 500, 60


def figures(*, quick: bool) -> list[Figure]:
    """The whole stage (features, network, order), and beside it the layers run one by one."""
    data = made_up(seed=0)
    ranker = sl.Ranker(
        [sl.Category("country"), sl.Number("age")],
        [sl.Id("item_id"), sl.Category("brand"), sl.Tags("tags"), sl.Number("price")],
        scores=["score_towers", "score_popular"],
    )
    ranker.build(data)
    ranker.eval()
    stage, draw = sl.rank.Scored(ranker, keep=200), torch.Generator().manual_seed(0)
    asked = [_asked(data, draw) for _ in range(50)]

    def by_layers(requests: Requests, candidates: Candidates) -> object:
        with torch.inference_mode():
            return ranker(list_batch(requests, candidates, ranker.fitted_space(), ranker.scores))

    def by_stage(requests: Requests, candidates: Candidates) -> object:
        with torch.inference_mode():
            return stage.rank(requests, candidates)

    turn = iter(range(10**9))

    def seconds(work: Callable[[Requests, Candidates], object]) -> float:
        requests, candidates = asked[next(turn) % len(asked)]
        started = time.perf_counter()
        work(requests, candidates)
        return time.perf_counter() - started

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    taken = interleave(
        {"score500": lambda: seconds(by_stage), "score500_by_layers": lambda: seconds(by_layers)},
        QUICK_REPEATS if quick else REPEATS,
    )
    torch.set_num_threads(threads)
    targets = {"score500": TARGET_MS}
    return [_figure(name, values, targets.get(name)) for name, values in taken.items()]


def made_up(*, seed: int) -> sl.Dataset:
    """Users and items with the columns of a shop, and some events."""
    random = np.random.default_rng(seed)
    users = pl.DataFrame(
        {
            "user_id": np.arange(USERS),
            "country": random.integers(0, COUNTRIES, USERS).astype(str),
            "age": random.integers(18, 80, USERS),
        }
    )
    items = pl.DataFrame(
        {
            "item_id": np.arange(ITEMS),
            "brand": random.integers(0, BRANDS, ITEMS).astype(str),
            "tags": [[f"t{tag}" for tag in row] for row in random.integers(0, TAGS, (ITEMS, 3))],
            "price": random.uniform(1, 50, ITEMS),
        }
    )
    count = 2 * ITEMS
    events = pl.DataFrame(
        {
            "user_id": random.integers(0, USERS, count),
            "item_id": random.integers(0, ITEMS, count),
            "time": 1_600_000_000 + np.arange(count),
        }
    )
    return sl.Dataset(events, sl.Schema(timestamp="time"), users=users, items=items, name="a shop")


def _asked(data: sl.Dataset, draw: torch.Generator) -> tuple[Requests, Candidates]:
    """One user, and candidates in the order of the first of two scores."""
    items = torch.randperm(ITEMS, generator=draw)[:CANDIDATES] + 1
    first, second = torch.randn(2, CANDIDATES, generator=draw)
    first = first.sort(descending=True).values
    candidates = Candidates.from_padded(items[None], first[None])
    user = torch.randint(1, USERS + 1, (1,), generator=draw)
    return data.requests_of(user), candidates.with_scores(first, score_towers=first, score_popular=second)


def _figure(name: str, seconds: list[float], target: float | None) -> Figure:
    ordered = sorted(1e3 * each for each in seconds)
    spread = (ordered[0], ordered[int(0.99 * len(ordered))])
    return Figure(f"{name}_ms", statistics.median(ordered), "ms", target, at_least=False, spread=spread)
