"""Train and test parts: by time, each user's last events, at random, by a mask."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from data_cases import SCHEMA, interactions, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import histories as slow

import shortlist as sl
from shortlist.data import split
from shortlist.errors import ConfigError, DataError, SchemaError, ShapeError

times = st.lists(st.integers(0, 6), min_size=2, max_size=30).map(np.array)


@given(times, st.floats(0.05, 0.95))
@settings(max_examples=80, deadline=None)
def test_a_split_by_time_divides_no_moment_and_holds_out_at_least_the_share(moments, share):
    try:
        held = split.latest(moments, share)
    except DataError:
        first = np.sort(moments)[min(round(len(moments) * (1 - share)), len(moments) - 1)]
        assert first == moments.min() or round(len(moments) * (1 - share)) == len(moments)
        return
    assert moments[~held].max() < moments[held].min()
    assert held.sum() >= round(len(moments) * share - 0.5)
    without_first = moments > moments[held].min()
    assert without_first.sum() <= len(moments) - round(len(moments) * (1 - share))


events = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 4), st.booleans()), min_size=1, max_size=30
)


@given(events, st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_leave_last_out_is_what_the_slow_reference_says(rows, count):
    expected = slow.last_of_each([slow.Event(*row[:3]) for row in rows], [row[3] for row in rows], count)
    users, moments = (np.array([row[column] for row in rows]) for column in (0, 2))
    held = split.last_of_each(users, moments, np.array([row[3] for row in rows]), count)
    assert held.tolist() == expected


def test_leave_last_out_holds_out_the_last_positive_event_and_what_followed_it():
    train, test = shop().split_leave_last_out()
    for user in test.interactions["user"].unique():
        held = test.interactions.filter(pl.col("user") == user)
        assert held["event"].is_in(["buy", "click"]).sum() == 1
        kept = train.interactions.filter(pl.col("user") == user)
        assert kept["time"].max() <= held["time"].min()
        assert kept["event"].is_in(["buy", "click"]).any()


def test_a_random_split_depends_on_its_seed_alone():
    data = shop()
    one, again, other = (data.split_random(0.3, seed=seed)[1].interactions for seed in (1, 1, 2))
    assert len(one) == 18
    assert one.equals(again)
    assert not one.equals(other)


@pytest.mark.parametrize("how", ["by_time", "leave_last_out", "random"])
def test_the_parts_make_up_the_whole_and_know_each_other(how):
    data = shop()
    train, test = getattr(data, f"split_{how}")()
    assert sorted(pl.concat([train.interactions, test.interactions]).rows(), key=str) == sorted(
        data.interactions.rows(), key=str
    )
    assert test.past is train
    assert train.past is None
    assert (train.name, test.name) == ("shop train", "shop test")


def test_vocabularies_are_fitted_on_the_train_part_alone():
    data = sl.Dataset(interactions(), SCHEMA)
    train, test = data.split_by_time(0.2)
    assert set(train.item_vocabulary.ids) == set(train.interactions["item"])
    counts = dict(train.interactions["item"].value_counts().iter_rows())
    assert train.item_vocabulary.counts[1:].tolist() == [counts[item] for item in train.item_vocabulary.ids]
    assert len(test.item_vocabulary) == len(train.item_vocabulary)


def test_a_mask_decides_which_events_are_held_out():
    data = shop()
    mask = np.arange(60) % 5 == 0
    train, test = data.split_at(mask)
    assert test.interactions.equals(data.interactions.filter(pl.Series(mask)))
    assert train.interactions.equals(data.interactions.filter(pl.Series(~mask)))


@pytest.mark.parametrize("mask", [np.ones(59, bool), np.ones(60, np.int64), np.ones((60, 1), bool)])
def test_a_mask_of_a_wrong_shape_or_type_is_refused(mask):
    with pytest.raises(ShapeError, match=r"bool \(60,\); give one boolean an event"):
        shop().split_at(mask)


@pytest.mark.parametrize("value", [False, True])
def test_a_part_without_events_is_refused(value):
    with pytest.raises(DataError, match="both parts need events"):
        shop().split_at(np.full(60, value))


def test_one_moment_alone_cannot_be_split_by_time():
    with pytest.raises(DataError, match="leaves one part of the 4 events empty"):
        split.latest(np.full(4, 9), 0.5)


def test_a_test_part_is_not_split_again():
    with pytest.raises(DataError, match="split the train part"):
        shop().split_random()[1].split_random()


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_that_is_no_share_is_refused(share):
    for how in ("split_by_time", "split_random"):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            getattr(shop(), how)(share)


def test_a_split_that_needs_times_says_so():
    data = sl.Dataset(interactions(), sl.Schema("user", "item"))
    for how in ("split_by_time", "split_leave_last_out"):
        with pytest.raises(SchemaError, match=rf"{how} needs times.*Schema\(timestamp=…\)"):
            getattr(data, how)()


def test_nobody_is_held_out_zero_times():
    with pytest.raises(ConfigError, match="count must be at least 1"):
        shop().split_leave_last_out(0)
