"""Boosted trees as the ranker of a funnel: trained like any other, and the same from its bundle."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from funnel_cases import plain
from planted import parts

from shortlist.data import Category, Number
from shortlist.errors import BundleError, ConfigError
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest
from shortlist.models import EASE, BoostedRanker


def boosted(**options) -> BoostedRanker:
    train, _ = parts()
    earlier, recent = train.split_leave_last_out(count=2)
    ranker = BoostedRanker(
        candidate=[Category("group"), Number("price")],
        scores=["score_ease"],
        trees=20,
        num_leaves=7,
        min_data_in_leaf=5,
    )
    rank.fit(ranker, [Nearest(EASE(l2=20).fit(earlier), 30, "ease")], recent, **options)
    return ranker


def test_a_funnel_answers_the_same_from_its_bundle(tmp_path: Path):
    funnel = plain(rank=rank.Scored(boosted(), keep=8))
    funnel.save(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "ranker" / "trees.txt").is_file()
    again = Funnel.load(tmp_path / "bundle")
    users = ["u003", "u050", "nobody"]
    before, after = funnel.recommend(users), again.recommend(users)
    assert before.items == after.items
    assert before.scores == after.scores
    assert isinstance(again.rank.ranker, BoostedRanker)


def test_new_items_are_ranked_too():
    funnel = plain(rank=rank.Scored(boosted(), keep=8))
    grown = funnel.with_items(pl.DataFrame({"item_id": ["i900"], "group": ["red"], "price": [3.0]}))
    assert grown.recommend("u003").items
    assert grown.rank.ranker.booster is funnel.rank.ranker.booster


def test_options_of_other_trainings_are_refused():
    with pytest.raises(ConfigError, match=r"trees are not trained with learning_rate.*BoostedRanker"):
        boosted(learning_rate=0.1)


def test_a_ranker_in_the_place_of_a_retriever_is_refused(tmp_path: Path):
    funnel = plain(rank=rank.Scored(boosted(), keep=8))
    funnel.save(tmp_path / "bundle")
    file = tmp_path / "bundle" / "funnel.json"
    file.write_text(file.read_text().replace('"model": "retriever-0"', '"model": "ranker"'))
    with pytest.raises(BundleError):
        Funnel.load(tmp_path / "bundle")
