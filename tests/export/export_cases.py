"""Small trained funnels for devices, and their exports, each made once."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from planted import CANDIDATE, parts

from shortlist.calibration import Spline
from shortlist.data import Category, Dataset, Feature, History, Id, Number, Ragged, Requests, Timestamp
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import Ranker, Sequential, TwoTower
from shortlist.nn import Tower
from shortlist.postrank import Boost, Cap, Diversity, Exclude, Explore, Freshness
from shortlist.tasks import Retrieval

CONTEXT: tuple[Feature, ...] = (
    Number("age", buckets=4),
    Number("age", name="age_itself"),
    Timestamp("time"),
    Category("device"),
)
HISTORIES = (
    History("item_id", length=20, pooling="mean"),
    History("group", name="groups_before", length=5, pooling="attention"),
)


def towers(*features: Feature, hidden: tuple[int, ...] = ()) -> TwoTower:
    """Two towers that learned the planted groups a little."""
    model = TwoTower(
        Tower(features, dim=8, hidden=hidden),
        Tower([Id("item_id")], dim=8),
        task=Retrieval(temperature=0.2),
    )
    model.fit(parts()[0], epochs=3, batch_size=128, learning_rate=0.02)
    return model


@cache
def mean_towers() -> TwoTower:
    return towers(Id("user_id"), HISTORIES[0])


@cache
def attention_towers() -> TwoTower:
    return towers(Id("user_id"), History("item_id", length=6, pooling="attention"))


@cache
def rich_towers() -> TwoTower:
    """Every kind of feature that a device can fill, through hidden layers."""
    return towers(Id("user_id"), *CONTEXT, *HISTORIES, hidden=(16,))


@cache
def sequential(**settings: Any) -> Sequential:
    model = Sequential(**({"dim": 8, "length": 6, "num_blocks": 2} | settings))
    model.fit(parts()[0], epochs=2, batch_size=32, learning_rate=0.01)
    return model


@cache
def ranker(*query: Feature, **settings: Any) -> Ranker:
    """A ranker of the planted shop that learned from lists a little."""
    earlier, recent = parts()[0].split_leave_last_out(count=2)
    model = Ranker(query, CANDIDATE, **({"scores": ("score_popular",), "dim": 4} | settings))
    rank.fit(model, [Popular(30).fit(earlier)], recent, epochs=2)
    return model


def plain_funnel(**settings: Any) -> Funnel:
    """A query tower and what is popular."""
    stages = {"retrieve": [Nearest(mean_towers(), 20, "towers"), Popular(10)], "size": 6}
    return Funnel(**(stages | settings))


def whole_funnel() -> Funnel:
    """Two query models, popularity, a ranker and every post-ranker."""
    return Funnel(
        retrieve=[Nearest(rich_towers(), 20, "towers"), Nearest(sequential(), 20, "sequence"), Popular(10)],
        rank=rank.Scored(
            ranker(*CONTEXT, History("item_id", pooling="target", length=8)),
            keep=15,
            calibration=Spline().fit(torch.linspace(-2, 2, 40), (torch.arange(40) % 7 > 3).float()),
        ),
        postrank=[
            Exclude(items=["i000"], where="price > 48", seen=True),
            Boost(where="price < 10", by=0.3),
            Freshness("30d", strength=0.2),
            Diversity(0.2),
            Explore(1),
            Cap("group", 4),
        ],
        size=6,
        seed=5,
    )


def people(data: Dataset, count: int = 12) -> Requests:
    """Histories of several lengths, of people whom nobody knows; the last has none."""
    plain = data.requests_of(torch.arange(1, count))
    keep = torch.arange(1, count) % 7 + 1
    rows = [list(each)[-int(n) :] for each, n in zip(plain.history.to_lists(), keep, strict=True)]
    times = [list(each)[-int(n) :] for each, n in zip(plain.history_times.to_lists(), keep, strict=True)]
    zeros = torch.zeros(count, dtype=torch.int64)
    return Requests(zeros, Ragged.from_lists([*rows, []]), Ragged.from_lists([*times, []]), zeros)
