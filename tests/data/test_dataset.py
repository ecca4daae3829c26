"""Three tables and a schema: indices, what events count as, what a person has seen, what was asked."""

from __future__ import annotations

import warnings
from datetime import datetime

import numpy as np
import polars as pl
import pytest
import torch
from data_cases import EVENTS, SCHEMA, interactions, shop

import shortlist as sl
from shortlist.errors import SchemaError


@pytest.fixture
def halves() -> tuple[sl.Dataset, sl.Dataset]:
    """A train part without user u5 and item 107, and a test part with them."""
    data = shop()
    frame = data.interactions
    new = ((frame["user"] == "u5") | (frame["item"] == 107)).to_numpy()
    return data.split_at(new | (np.arange(len(data)) % 7 == 0))


def test_an_index_decodes_to_the_id_that_it_came_from():
    data = shop()
    assert data.user_vocabulary.decode(data.user_index).equals(data.interactions["user"], check_names=False)
    assert data.item_vocabulary.decode(data.item_index).equals(data.interactions["item"], check_names=False)
    assert data.user_index.min() > 0
    assert data.user_index.dtype == data.item_index.dtype == np.int64


def test_ids_of_the_tables_are_known_without_events():
    data = shop()
    assert data.item_vocabulary.index_of(199) == len(data.item_vocabulary) - 1
    assert data.user_vocabulary.index_of("u9") == len(data.user_vocabulary) - 1
    assert repr(data) == "Dataset(shop: 60 events, 7 users, 9 items)"
    assert repr(sl.Dataset(interactions(), SCHEMA)).startswith("Dataset(unnamed: 60 events, 6 users")


def test_a_test_part_shares_the_vocabularies_and_does_not_know_new_ids(halves):
    train, test = halves
    assert test.user_vocabulary is train.user_vocabulary
    assert test.item_vocabulary is train.item_vocabulary
    assert test.catalogue is train.catalogue
    assert test.audience is train.audience
    new_user = (test.interactions["user"] == "u5").to_numpy()
    new_item = (test.interactions["item"] == 107).to_numpy()
    assert new_user.any()
    assert new_item.any()
    assert ((test.user_index == 0) == new_user).all()
    assert ((test.item_index == 0) == new_item).all()


def test_new_people_of_a_test_part_keep_their_own_histories(halves):
    train, test = halves
    assert train.people is train.user_vocabulary
    assert test.people.ids.to_list() == [*train.user_vocabulary.ids, "u5"]
    rows = np.flatnonzero(test.interactions["user"] == "u5")
    assert (test.person_index[rows] == len(train.user_vocabulary)).all()
    requests = test.requests(rows)
    assert (requests.users == 0).all()
    earlier = [
        sum(
            event["user"] == "u5"
            and event["item"] != 107
            and EVENTS[event["event"]].history
            and not EVENTS[event["event"]].negative
            and (event["time"], place) < (test.interactions["time"][int(row)], row)
            for place, event in enumerate(test.interactions.iter_rows(named=True))
        )
        for row in rows
    ]
    assert requests.history.lengths.tolist() == earlier
    assert sum(earlier) > 0


def test_each_type_of_event_counts_as_the_schema_says():
    data = shop()
    types = data.interactions["event"].to_list()
    assert data.weights.tolist() == [EVENTS[kind].weight for kind in types]
    assert data.is_label.tolist() == [kind != "view" for kind in types]
    assert data.is_positive.tolist() == [kind in ("buy", "click") for kind in types]
    assert data.is_history.tolist() == [kind in ("view", "buy") for kind in types]
    assert data.labels.tolist() == [float(kind != "return") for kind in types]
    assert data.targets.tolist() == [row for row, kind in enumerate(types) if kind in ("buy", "click")]


def test_a_negative_event_has_label_zero_whatever_its_rating():
    schema = sl.Schema("user", "item", label="temperature", event="event", events=EVENTS)
    data = sl.Dataset(interactions().drop_nulls("temperature"), schema)
    negative = (data.interactions["event"] == "return").to_numpy()
    assert negative.any()
    expected = np.where(negative, 0, data.interactions["temperature"].to_numpy())
    np.testing.assert_allclose(data.labels, expected, rtol=1e-6)
    assert data.labels.dtype == np.float32


def test_without_types_every_event_is_a_plain_positive():
    for schema in (sl.Schema("user", "item"), sl.Schema("user", "item", event="event")):
        data = sl.Dataset(interactions(), schema)
        assert data.labels is None
        assert (data.weights == 1).all()
        assert data.is_label.all()
        assert data.is_positive.all()
        assert data.is_history.all()


def test_types_of_a_categorical_column_are_read_like_strings():
    frame = interactions().with_columns(pl.col("event").cast(pl.Categorical))
    assert sl.Dataset(frame, SCHEMA).weights.tolist() == shop().weights.tolist()


def test_an_event_type_that_the_schema_lacks_is_named():
    frame = interactions().with_columns(event=pl.lit("bought"))
    with pytest.raises(SchemaError, match=r"'bought'.*column 'event'.*it can be one of 'view'"):
        _ = sl.Dataset(frame, SCHEMA).weights


def test_times_may_be_dates():
    when = [datetime(2024, 1, 31, 12), datetime(2024, 1, 31, 13)]
    data = sl.Dataset(
        pl.DataFrame({"user": [1, 1], "item": [1, 2], "time": when}),
        sl.Schema("user", "item", timestamp="time"),
    )
    assert data.times.tolist() == [1_706_702_400, 1_706_706_000]
    assert data.end == 1_706_706_001


def test_without_times_there_is_no_end():
    data = sl.Dataset(interactions(), sl.Schema("user", "item"))
    assert data.times is None
    assert data.end == 0


def test_the_catalogue_says_when_each_item_was_first_seen():
    data = shop()
    first = dict(data.interactions.group_by("item").agg(pl.col("time").min()).iter_rows())
    table = data.catalogue.items
    assert table["first_seen"].to_list() == [first.get(item) for item in table["item"]]
    assert table["item"][0] is None
    assert table.filter(pl.col("item") == 103)["title"].to_list() == ["The red, red hat!"]
    assert table.filter(pl.col("item") == 107)["title"].to_list() == [None]


def test_a_column_of_the_item_table_named_first_seen_is_kept():
    table = pl.DataFrame({"item": [100], "first_seen": ["long ago"]})
    catalogue = sl.Dataset(interactions(), SCHEMA, items=table).catalogue
    assert catalogue.column("first_seen").drop_nulls().to_list() == ["long ago"]


def test_the_audience_lists_the_users_by_index():
    audience = shop().audience
    ages = dict(audience.items.iter_rows())
    assert ages == {None: None, "u0": 20, "u1": 31, "u2": None, "u3": 45, "u4": 20, "u5": None, "u9": 99}


def test_what_a_test_part_has_seen_are_the_events_of_its_past(halves):
    train, test = halves
    for data in halves:
        assert len(data.seen) == len(data.people)
        for person in range(1, len(data.people)):
            rows = train.interactions.filter(pl.col("user") == data.people.ids[person - 1])
            expected = train.item_vocabulary.encode(rows["item"]).tolist()
            assert data.seen[person].tolist() == expected
    assert len(test.seen[0]) == 0


def test_context_is_what_the_schema_does_not_name():
    data = shop()
    assert data.context.columns == ["device", "temperature"]
    assert sl.Dataset(interactions().drop("device", "temperature"), SCHEMA).context is None


def test_a_request_carries_its_moment_and_its_context():
    data = shop()
    rows = torch.tensor([5, 3, 5])
    requests = data.requests(rows)
    assert requests.times.tolist() == data.times[rows.numpy()].tolist()
    assert requests.users.tolist() == data.user_index[rows.numpy()].tolist()
    assert requests.context.equals(data.interactions[rows.numpy()].select("device", "temperature"))
    assert data.requests(rows, context=False).context is None


def test_requests_of_people_come_after_everything_that_is_known(halves):
    _, test = halves
    people = torch.arange(len(test.people))
    requests = test.requests_of(people, length=3)
    assert requests.times.tolist() == [test.end] * len(people)
    assert requests.users.tolist() == [*range(len(test.user_vocabulary)), 0]
    everything = test.requests_of(people).history
    assert [row[-3:] for row in everything.to_lists()] == requests.history.to_lists()
    assert len(requests.history[0]) == 0
    assert int(everything.lengths.sum()) == int(test.past.is_history.sum()) + int(
        (test.is_history & (test.item_index > 0)).sum()
    )
    assert test.requests_of(people, at=7).times.tolist() == [7] * len(people)


def test_no_array_is_handed_to_torch_that_must_not_be_written_to():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, test = shop().split_by_time(0.3)
        for data in (train, test):
            data.requests(np.arange(len(data)))
            for array in (data.weights, data.labels, data.user_index, data.item_index, data.targets):
                torch.from_numpy(array)
