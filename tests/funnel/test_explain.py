"""Explanations: the list after every stage, and a reason for each item."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
import torch
from funnel_cases import plain, two_retrievers, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import parts

from shortlist.data import Dataset, Ragged, Schema
from shortlist.funnel import Funnel
from shortlist.funnel import explain as explain_module
from shortlist.funnel.explain import most_similar
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE


def test_each_stage_lets_through_a_part_of_what_the_stage_before_did():
    explained = whole().explain("u001", 5)
    names = list(explained.stages)
    assert names[:2] == ["retrieve", "rank"]
    assert names[-1] == "final"
    lists = [set(frame["item_id"]) for frame in explained.stages.values()]
    for before, after in pairwise(lists):
        assert after <= before
    for frame in explained.stages.values():
        assert frame["rank"].to_list() == list(range(1, len(frame) + 1))
        assert frame["item_id"].n_unique() == len(frame)


def test_the_final_list_is_the_recommendation_with_its_reasons():
    funnel = whole()
    found, final = funnel.recommend("u001", 5), funnel.explain("u001", 5).stages["final"]
    assert final["item_id"].to_list() == found.items
    assert final["why"].to_list() == found.frame["why"].to_list()
    assert final["score"].to_list() == found.scores


def test_the_scores_of_every_stage_stand_beside_the_items():
    stages = whole().explain("u001").stages
    assert {"score_towers", "score_popularity", "found_by", "title"} <= set(stages["retrieve"].columns)
    assert "score_ranker" in stages["rank"].columns
    assert {"boost", "freshness", "explored"} <= set(stages["final"].columns)
    assert stages["retrieve"].columns[0] == "item_id"


def test_the_history_is_the_users_own_events_oldest_first():
    train, _ = parts()
    expected = train.interactions.filter(pl.col("user_id") == "u001").sort("time")["item_id"].to_list()
    assert plain().explain("u001").history["item_id"].to_list() == expected
    assert len(plain().explain("who?").history) == 0


def test_the_finders_of_each_item_are_named():
    funnel = plain(retrieve=two_retrievers(k=5))
    train, _ = parts()
    request = train.requests_of(torch.from_numpy(train.people.encode(["u001"]).copy()))
    found = {
        each.name: train.item_vocabulary.decode(
            each.model.retrieve(request, 6, exclude=train.seen.take(request.users))[0][0].tolist()
        ).to_list()
        for each in funnel.retrievers
    }
    for item, names in funnel.explain("u001").stages["retrieve"].select("item_id", "found_by").iter_rows():
        assert names.split(", ") == [name for name, items in found.items() if item in items]


def test_a_reason_names_the_title_of_what_the_item_resembles():
    train, _ = parts()
    seen = train.interactions.filter(pl.col("user_id") == "u001")["item_id"]
    titles = set(train.items.filter(pl.col("item_id").is_in(seen.implode()))["title"])
    for why in plain().recommend("u001").frame["why"]:
        like, finders = why.removeprefix("like ").split("; found by ")
        assert like in titles
        assert set(finders.split(" and ")) <= {"towers", "ease"}
    assert all(why.startswith("found by") for why in plain().recommend("who?").frame["why"])


def test_without_vectors_or_titles_reasons_say_less():
    table = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [10, 11, 11, 12]})
    data = Dataset(table, Schema())
    found = Funnel(retrieve=[Popular()], data=data).recommend(1)
    assert found.frame["why"].to_list() == ["found by popular"]
    from planted import plain_towers

    towers = plain_towers()
    towers.fit(data, epochs=1)
    found = Funnel(retrieve=[Nearest(towers), Nearest(EASE().fit(data))]).recommend(1)
    assert found.frame["why"][0] in (
        "like 10; found by twotower and ease",
        "like 11; found by twotower and ease",
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(1, 9), max_size=4), st.lists(st.integers(1, 9), max_size=6)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 1000),
)
def test_the_event_that_resembles_an_item_most_is_found(rows: list[tuple[list[int], list[int]]], seed: int):
    vectors = torch.randn(10, 3, generator=torch.Generator().manual_seed(seed))
    items, history = (Ragged.from_lists([row[side] for row in rows]) for side in (0, 1))
    found = Ragged(most_similar(items, history, vectors), items.offsets).to_lists()
    for (wanted, past), nearest in zip(rows, found, strict=True):
        for item, event in zip(wanted, nearest, strict=True):
            cosine = {
                each: torch.cosine_similarity(vectors[item], vectors[each], dim=0).item() for each in past
            }
            assert (event == 0) == (not past)
            assert not past or cosine[event] == pytest.approx(max(cosine.values()), abs=1e-6)


def test_only_the_latest_events_are_compared(monkeypatch):
    monkeypatch.setattr(explain_module, "EVENTS_COMPARED", 2)
    vectors = torch.eye(5)
    found = most_similar(Ragged.from_lists([[1]]), Ragged.from_lists([[1, 2, 3]]), vectors)
    assert found.item() in (2, 3)


def test_an_explanation_shows_its_way():
    text = repr(whole().explain("u001", 5))
    assert text.startswith("Explanation(history: 8 events → retrieve: ")
    assert text.endswith("final: 5 items)")
