"""The whole way: k items whenever they are there, for known and unknown users, alone and together."""

from __future__ import annotations

import sys
from typing import Any

import polars as pl
import pytest
import torch
from funnel_cases import baselines, plain, retrievers, trained_ranker, two_retrievers, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import ITEMS, START, USERS, parts, planted, rich_towers

from shortlist.data import Dataset, EventType, Schema
from shortlist.errors import ConfigError, NotFittedError, SchemaError
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE
from shortlist.postrank import Exclude, Explore

EVERYBODY = [f"u{user:03}" for user in range(USERS)]


def seen_by(user: str) -> set[str]:
    train, _ = parts()
    return set(train.interactions.filter(pl.col("user_id") == user)["item_id"])


@pytest.mark.parametrize("make", [plain, whole])
def test_everybody_gets_as_many_items_as_asked_and_none_that_they_had(make):
    found = make().recommend(EVERYBODY, k=5)
    assert found.frame.group_by("user_id").len()["len"].to_list() == [5] * USERS
    for user in EVERYBODY:
        assert not set(found.of(user).items) & seen_by(user)
    assert found.frame["rank"].to_list() == list(range(1, 6)) * USERS


@settings(max_examples=40, deadline=None)
@given(st.integers(1, ITEMS), st.integers(1, ITEMS), st.integers(1, 30), st.booleans())
def test_k_items_come_back_whenever_k_are_allowed(k: int, allowed: int, retrieved: int, ranked: bool):
    funnel = plain(
        retrieve=two_retrievers(k=retrieved),
        rank=rank.Scored(trained_ranker(), keep=3) if ranked else None,
    )
    names = [f"i{item:03}" for item in range(allowed)]
    found = funnel.recommend("u001", k, where=pl.col("item_id").is_in(names))
    assert len(found) == min(k, len(set(names) - seen_by("u001")))
    assert set(found.items) <= set(names)


def test_items_that_were_seen_come_back_where_that_is_wanted():
    found = plain().recommend("u001", k=ITEMS, exclude_seen=False)
    assert set(found.items) == set(planted().items["item_id"])


def test_the_size_of_the_funnel_is_the_default():
    assert len(plain(size=4).recommend("u001")) == 4
    assert len(plain(size=4).recommend("u001", 9)) == 9


def test_somebody_unknown_gets_a_list_too():
    for funnel in (plain(), whole()):
        found = funnel.recommend(["u001", "who?"], 5)
        assert len(found.of("who?")) == 5
    popular = Funnel(retrieve=[Popular(9)], data=parts()[0]).recommend("who?", 3)
    assert popular.items == parts()[0].item_vocabulary.ids.head(3).to_list()


def test_a_predicate_over_the_items_is_honoured_by_every_stage():
    found = whole().recommend(EVERYBODY, 3, where=(pl.col("group") == "red") & (pl.col("price") < 45))
    assert set(found.frame["group"]) == {"red"}
    assert found.frame["price"].max() < 45
    with pytest.raises(SchemaError, match="cannot be evaluated"):
        plain().recommend("u001", where=pl.col("prize") < 2)


@pytest.mark.parametrize("make", [plain, whole])
def test_several_users_at_once_get_what_each_would_get_alone(make, monkeypatch):
    funnel, users = make(), [*EVERYBODY[:20], "who?", "u003"]
    together = funnel.recommend(users, 6)
    alone = [funnel.recommend(user, 6) for user in users]
    assert together.items == [item for each in alone for item in each.items]
    assert together.scores == pytest.approx([score for each in alone for score in each.scores], rel=1e-4)
    assert together.frame["why"].to_list() == [why for each in alone for why in each.frame["why"]]
    monkeypatch.setattr("shortlist.funnel.funnel.REQUEST_BATCH", 3)
    assert funnel.recommend(users, 6).items == together.items


def test_nobody_gets_nothing():
    assert plain().recommend([], 5).items == []
    assert plain().retrieve(parts()[0].requests_of(torch.zeros(0, dtype=torch.int64)), 5)[0].shape == (0, 0)


@pytest.mark.parametrize("make", [plain, whole])
def test_the_same_question_has_the_same_answer(make):
    one, two, again = make(), make(), make()
    first = one.recommend(EVERYBODY)
    for funnel in (one, two, again):
        found = funnel.recommend(EVERYBODY)
        assert (found.items, found.scores) == (first.items, first.scores)


def test_the_seed_decides_what_is_explored():
    found = {str(plain(postrank=[Explore(3)], seed=seed).recommend("u001").items) for seed in range(8)}
    assert len(found) > 1


def test_lists_in_index_space_are_the_recommendations():
    train, _ = parts()
    funnel, people = whole(), torch.arange(1, 30)
    items, scores = funnel.retrieve(train.requests_of(people), 6, exclude=train.seen.take(people))
    found = funnel.recommend(train.user_vocabulary.ids.head(29).to_list(), 6)
    assert train.item_vocabulary.decode(items.flatten().tolist()).to_list() == found.items
    assert scores.flatten().tolist() == pytest.approx(found.scores)


def test_short_lists_are_padded_in_index_space():
    train, _ = parts()
    funnel = plain(postrank=[Exclude(where="\"group\" = 'red'")])
    items, scores = funnel.retrieve(train.requests_of(torch.arange(1, 9)), 40)
    assert bool(((items == 0) == (scores == -torch.inf)).all())
    assert items.shape == (8, 36)


def test_the_context_of_a_request_reaches_the_towers():
    train, _ = parts()
    model = rich_towers()
    model.fit(train, epochs=2, batch_size=128, learning_rate=0.05)
    funnel = Funnel(retrieve=[Nearest(model)])
    scores = [
        funnel.recommend("u001", context=context).scores
        for context in ({"device": "phone"}, {"device": "desk"}, None)
    ]
    assert scores[0] != scores[1] != scores[2]


def test_ids_of_integers_are_understood_as_text_too():
    table = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [10, 11, 11, 12]})
    funnel = Funnel(retrieve=[Popular()], data=Dataset(table, Schema()))
    assert funnel.recommend(1).items == funnel.recommend("1").items == [12]


def test_the_funnel_stands_on_the_data_of_its_first_trained_retriever():
    train, _ = parts()
    assert plain().data is train
    assert Funnel(retrieve=[Popular(), Nearest(baselines()["ease"])]).data is train
    with pytest.raises(ConfigError, match="no retriever is trained and no data is given"):
        Funnel(retrieve=[Popular()])


def test_newer_events_bring_newer_histories_and_seen_items():
    train, test = parts()
    newer = train.with_interactions(pl.concat([train.interactions, test.interactions]))
    held_out = test.interactions.filter(pl.col("user_id") == "u001")["item_id"].to_list()
    old, new = plain(), plain(data=newer)
    assert new.explain("u001").history["item_id"].to_list() == [
        *old.explain("u001").history["item_id"],
        *held_out,
    ]
    assert set(old.recommend("u001", ITEMS).items) - set(new.recommend("u001", ITEMS).items) == set(held_out)


def test_a_test_part_is_refused_since_its_histories_hold_what_is_to_be_predicted():
    with pytest.raises(ConfigError, match="stands on a test part"):
        plain(data=parts()[1])


def test_data_with_other_indices_is_refused():
    train, _ = parts()
    with pytest.raises(ConfigError, match="model of retriever 'towers' was trained on other data"):
        plain(data=planted())
    earlier, _ = train.split_leave_last_out(count=2)
    with pytest.raises(ConfigError, match="model of retriever 'e' was trained on other data"):
        plain(retrieve=[*two_retrievers(), Nearest(EASE().fit(earlier), 5, "e")])
    with pytest.raises(NotFittedError, match="EASE is not trained"):
        plain(retrieve=[*two_retrievers(), Nearest(EASE(), 5, "e")])


def test_two_funnels_on_different_data_can_share_a_retriever():
    train, _ = parts()
    earlier, _ = train.split_leave_last_out(count=3)
    popular = Popular(9)
    one, two = (Funnel(retrieve=[popular], data=data) for data in (train, earlier))
    for funnel in (one, two):
        assert funnel.recommend("who?", 5).items == funnel.data.item_vocabulary.ids.head(5).to_list()


def test_the_ranker_reads_the_features_of_the_items_it_is_given():
    # The ranker learned on an earlier part, where the same item has another index.
    train, _ = parts()
    funnel = plain(rank=rank.Scored(trained_ranker()))
    trace = funnel.run(train.requests_of(torch.arange(1, 9)))
    ranked = dict(trace.stages)["rank"]
    assert funnel.rank is not None
    space = funnel.rank.ranker.fitted_space()
    price = space.item_columns["price"][:, 0]
    raw = torch.from_numpy(train.catalogue.items["price"].fill_null(0).to_numpy(writable=True))
    order = raw[ranked.items.values].argsort()
    assert (price[ranked.items.values][order].diff() >= 0).all()


def test_k_below_one_is_refused():
    with pytest.raises(ConfigError, match="k must be at least 1"):
        plain().recommend("u001", 0)
    with pytest.raises(ConfigError, match="k must be at least 1"):
        plain().explain("u001", 0)


def test_history_is_what_events_say_it_is():
    kinds = {"buy": EventType(), "skip": EventType(negative=True)}
    table = pl.DataFrame(
        {
            "user_id": [1, 1, 1, 2, 2, 3],
            "item_id": [1, 2, 3, 1, 2, 4],
            "kind": ["buy", "buy", "skip", "buy", "buy", "buy"],
        }
    )
    data = Dataset(table, Schema(event="kind", events=kinds))
    funnel = Funnel(retrieve=[Popular()], data=data)
    assert funnel.recommend(1).items == [4]  # what was skipped was seen too
    assert len(funnel.explain(1).history) == 2


def python_lines(call: Any) -> int:
    """How many lines of Python a call executes."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer is counting lines already")
def test_one_request_costs_no_python_work_in_proportion_to_the_catalogue():
    costs = []
    for items in (100, 4000):
        table = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [1, 2, 2, 3], "time": [START] * 4})
        names = pl.DataFrame({"item_id": range(items)})
        data = Dataset(table, Schema(timestamp="time"), items=names)
        funnel = Funnel(retrieve=[Popular(50)], postrank=[Exclude(seen=True)], data=data)
        funnel.recommend(1)
        costs.append(python_lines(lambda funnel=funnel: funnel.recommend(1)))
    assert costs[1] < 1.2 * costs[0]


def test_every_kind_of_retriever_can_stand_alone():
    for retriever in retrievers():
        found = Funnel(retrieve=[retriever], data=parts()[0]).recommend(["u001", "who?"], 4)
        assert len(found) == 8
