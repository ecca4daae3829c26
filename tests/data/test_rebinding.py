"""Encodings that were learned from one dataset, used for the users and items of another."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from data_cases import SCHEMA, interactions, items, shop, users

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.rebinding import check_same_ids, rebound, same_ids
from shortlist.errors import ConfigError

QUERY = [sl.Id("user"), sl.Number("age"), sl.History("item", length=4)]
CANDIDATE = [sl.Id("item"), sl.Text("title")]


def later_shop() -> sl.Dataset:
    """Other events, so another order of the ids, and a user and an item that the shop lacks."""
    frame = interactions(40, seed=9)
    new = frame.head(2).with_columns(user=pl.lit("u42"), item=pl.lit(300, pl.Int64))
    return sl.Dataset(pl.concat([frame, new]), SCHEMA, users=users(), items=items())


def by_id(vocabulary: sl.data.Vocabulary, column: torch.Tensor) -> dict:
    return {id_: column[index + 1].tolist() for index, id_ in enumerate(vocabulary.ids)}


def test_indices_are_the_same_where_the_ids_stand_in_the_same_order():
    data = shop()
    train, test = data.split_by_time(0.3)
    assert same_ids(data, shop())
    assert same_ids(train, test)
    assert not same_ids(data, later_shop())


def test_data_with_other_indices_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"the ranker was trained on other data: its 7 users.*fit it again"):
        check_same_ids(shop(), later_shop(), what="the ranker", remedy="fit it again")
    check_same_ids(shop(), shop(), what="the ranker", remedy="fit it again")


def test_a_space_is_itself_for_the_same_ids():
    space = FeatureSpace.fit(shop(), QUERY, CANDIDATE)
    assert rebound(space, shop()) is space


def test_an_id_keeps_the_row_that_it_learned_and_a_new_one_is_unknown():
    space, other = FeatureSpace.fit(shop(), QUERY, CANDIDATE), later_shop()
    again = rebound(space, other)
    for name, side in (("user", "user"), ("item", "item")):
        vocabulary, columns = f"{side}_vocabulary", f"{side}_columns"
        learned = by_id(getattr(space, vocabulary), getattr(space, columns)[name])
        found = by_id(getattr(other, vocabulary), getattr(again, columns)[name])
        assert found == {id_: learned.get(id_, 0) for id_ in found}
    assert again.item_columns["item"][other.item_vocabulary.index_of(300)] == 0
    assert again.user_columns["age"].shape == (len(other.user_vocabulary), 2)
    ids = space.item_vocabulary.decode
    history = other.requests_of(torch.tensor([1]), length=4)
    rows = again.query_batch(history)["item_history"].values.tolist()
    assert [ids([row])[0] for row in rows if row] == [
        item for item in other.item_vocabulary.decode(history.history.values.tolist()) if item != 300
    ]
