"""Funnels over the planted data: small, quick to make, with every kind of stage."""

from __future__ import annotations

from functools import cache
from typing import Any

from planted import CANDIDATE, QUERY, parts, trained_towers

from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest, Popular, Retriever
from shortlist.models import ALS, EASE, ItemKNN, Popularity, Ranker, Recommender
from shortlist.postrank import Boost, Cap, Diversity, Exclude, Explore, Freshness, PostRanker

POSTRANK: tuple[PostRanker, ...] = (
    Exclude(items=["i000"], where="price > 48"),
    Boost(where="price < 10", by=0.3),
    Freshness("30d", strength=0.2),
    Diversity(0.2),
    Diversity(0.1, by="colours"),
    Explore(1),
    Cap("group", 4),
)


@cache
def baselines() -> dict[str, Recommender]:
    train, _ = parts()
    return {
        "ease": EASE(l2=20).fit(train),
        "als": ALS(factors=4, iterations=3).fit(train),
        "item_knn": ItemKNN().fit(train),
        "popularity": Popularity().fit(train),
    }


def retrievers(k: int = 20) -> list[Retriever]:
    """One of every kind."""
    found: list[Retriever] = [Nearest(trained_towers(), k, "towers"), Popular(k, half_life="60d")]
    return found + [Nearest(model, k, name) for name, model in baselines().items()]


def two_retrievers(k: int = 10) -> list[Retriever]:
    return [Nearest(trained_towers(), k, "towers"), Nearest(baselines()["ease"], k, "ease")]


@cache
def trained_ranker() -> Ranker:
    """A ranker of all features that learned from events its own retriever had not seen."""
    train, _ = parts()
    earlier, recent = train.split_leave_last_out(count=2)
    ranker = Ranker(QUERY, CANDIDATE, scores=["score_ease"], dim=4, hidden=(8,))
    rank.fit(ranker, [Nearest(EASE(l2=20).fit(earlier), 30, "ease")], recent, epochs=4)
    return ranker


def plain(**settings: Any) -> Funnel:
    return Funnel(**({"retrieve": two_retrievers(), "size": 6} | settings))


def whole(**settings: Any) -> Funnel:
    """Every kind of retriever, a ranker, and every kind of post-ranker."""
    stages = {"retrieve": retrievers(), "rank": rank.Scored(trained_ranker(), keep=15), "postrank": POSTRANK}
    return Funnel(**(stages | {"size": 6, "seed": 5} | settings))
