"""From requests and items to what towers read: each entry comes from the right table, in the right order."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from data_cases import EVENTS, SCHEMA, interactions, items, shop, users

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace, dense
from shortlist.data.requests import Requests
from shortlist.data.sides import is_query_feature
from shortlist.errors import ConfigError, DataError, SchemaError, ShapeError

QUERY = [
    sl.Id("user"),
    sl.Number("age"),
    sl.Timestamp("time"),
    sl.Category("device"),
    sl.History("item", length=3),
    sl.History("price_band", length=2),
]
CANDIDATE = [sl.Id("item"), sl.Text("title"), sl.Number("price"), sl.Tags("genres"), sl.Vector("image")]


def priced() -> sl.Dataset:
    bands = items().with_columns(price_band=pl.when(pl.col("price") > 20).then(pl.lit("dear")))
    return sl.Dataset(interactions(), SCHEMA, users=users(), items=bands, name="shop")


def test_every_query_feature_of_a_request_is_that_of_its_user_moment_and_history():
    data = priced()
    space = FeatureSpace.fit(data, QUERY, CANDIDATE)
    rows = torch.tensor([0, 17, 59, 17])
    requests = data.requests(rows, length=5)
    batch = space.query_batch(requests)
    assert batch["user"].equal(requests.users)
    ages = dict(users().iter_rows())
    names = data.interactions["user"].gather(rows.numpy())
    encoded = space.encodings["age"].encode(pl.Series([ages.get(name) for name in names]))
    assert batch["age"].equal(encoded)
    moments = space.encodings["time"].encode(data.interactions["time"].gather(rows.numpy()))
    assert batch["time"].equal(moments)
    devices = space.encodings["device"].encode(data.interactions["device"].gather(rows.numpy()))
    assert batch["device"].equal(devices)
    last = [row[-3:] for row in requests.history.to_lists()]
    assert batch["item_history"].to_lists() == last
    bands = space.encodings["price_band_history"].encode(data.catalogue.column("price_band"))
    assert batch["price_band_history"].to_lists() == [[int(bands[i]) for i in row[-2:]] for row in last]
    assert set(batch) == {feature.name for feature in QUERY}
    assert space.history_length == 3


def test_every_candidate_feature_is_that_of_its_item():
    data = shop()
    space = FeatureSpace.fit(data, [], CANDIDATE)
    table = items().rows_by_key("item", named=True, unique=True)
    for index in range(len(data.item_vocabulary)):
        batch = space.candidate_batch(torch.tensor([index]))
        row = table.get(data.catalogue.items["item"][index], dict.fromkeys(items().columns))
        for feature in CANDIDATE[1:]:
            column = pl.Series(feature.column, [row[feature.column]], dtype=items().schema[feature.column])
            expected, actual = space.encodings[feature.name].encode(column), batch[feature.name]
            if isinstance(expected, torch.Tensor):
                assert actual.equal(expected)
            else:
                assert actual.to_lists() == expected.to_lists()
    assert space.history_length == 0


def test_an_id_that_was_never_seen_in_training_shares_the_row_of_the_unknown():
    data = shop()
    space = FeatureSpace.fit(data, [sl.Id("user")], [sl.Id("item")])
    everyone, everything = torch.arange(len(data.user_vocabulary)), torch.arange(len(data.item_vocabulary))
    never_bought = data.item_vocabulary.index_of(199)
    encoded = space.candidate_batch(everything)["item"]
    assert encoded[never_bought] == 0
    assert space.encodings["item"].size == never_bought
    requests = data.requests_of(everyone)
    assert space.query_batch(requests)["user"][data.user_vocabulary.index_of("u9")] == 0


def test_a_missing_context_column_is_a_missing_value():
    data = shop().split_random(0.2)[0]
    with_vector = data.interactions.with_columns(mood=pl.Series([[1.0, 2.0]] * len(data)))
    data = sl.Dataset(with_vector, SCHEMA)
    query = [
        sl.Category("device"),
        sl.Category("device", name="hashed", buckets=9),
        sl.Number("temperature"),
        sl.Number("temperature", name="bucket", buckets=3),
        sl.Text("device", name="words"),
        sl.Tags("device", name="tags"),
        sl.Timestamp("temperature", name="when"),
        sl.Vector("mood"),
    ]
    space = FeatureSpace.fit(data, query)
    batch = space.query_batch(data.requests([0, 1], context=False))
    assert batch["device"].tolist() == batch["hashed"].tolist() == batch["bucket"].tolist() == [0, 0]
    assert batch["temperature"].tolist() == [[0, 1], [0, 1]]
    assert batch["words"].to_lists() == batch["tags"].to_lists() == [[], []]
    assert batch["when"].tolist() == [[0.0] * 7 + [1.0]] * 2
    assert batch["mood"].tolist() == [[0, 0], [0, 0]]


def test_a_request_without_a_time_has_a_missing_moment():
    space = FeatureSpace.fit(shop(), [sl.Timestamp("time"), sl.Id("user")])
    batch = space.query_batch(Requests.from_history(sl.Ragged.from_lists([[1, 2]])))
    assert batch["time"].tolist() == [[0.0] * 7 + [1.0]]
    assert batch["user"].tolist() == [0]


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_an_item_is_described_by_its_latest_event_where_no_table_does(kind):
    frame = pl.DataFrame(
        {
            "user": pl.Series([1, 2, 1, 2, 1], dtype=pl.Int32),
            "item": pl.Series(["a", "b", "a", "a", "b"], dtype=kind),
            "time": [5, 1, 9, 7, 8],
            "colour": ["red", "blue", "green", "grey", None],
        }
    )
    for schema, colour_of_a in (
        (sl.Schema("user", "item", timestamp="time"), "green"),
        (sl.Schema("user", "item"), "grey"),
    ):
        data = sl.Dataset(frame, schema)
        space = FeatureSpace.fit(data, [], [sl.Category("colour")])
        encoded = space.candidate_batch(torch.from_numpy(data.item_vocabulary.encode(["a", "b"])))["colour"]
        assert encoded.tolist() == space.encodings["colour"].encode(pl.Series([colour_of_a, "blue"])).tolist()
        assert space.item_columns["colour"][0] == 0


def test_the_first_time_of_an_item_can_be_a_feature():
    data = shop()
    space = FeatureSpace.fit(data, [], [sl.Timestamp("first_seen")])
    expected = space.encodings["first_seen"].encode(data.catalogue.column("first_seen"))
    assert space.item_columns["first_seen"].equal(expected)


def test_a_feature_is_of_the_query_where_a_request_has_its_column():
    data = shop()
    assert [is_query_feature(data, each) for each in QUERY[:5]] == [True] * 5
    assert [is_query_feature(data, each) for each in CANDIDATE] == [False] * 5


@pytest.mark.parametrize(
    ("query", "candidate", "says"),
    [
        ([sl.Category("devise")], [], r"no column 'devise' among.*query tower\); did you mean 'device'"),
        ([], [sl.Text("titel")], r"no column 'titel' that describes items.*did you mean 'title'"),
        ([sl.Category("item")], [], "no column 'item' among"),
        ([], [sl.Category("user")], "no column 'user' that describes items"),
        ([], [sl.History("item")], "no column 'item' that describes items"),
        ([sl.History("user")], [], "no column 'user' that describes items"),
        ([sl.Number("time")], [], "'time' holds times.*use a Timestamp"),
        ([sl.Category("event")], [], "'event' is known only after a request was answered.*leave it out"),
        ([], [sl.Category("event")], "no column 'event' that describes items"),
        ([sl.Id("device")], [], r"no ids that have an index here.*use Id\('user'\) or Category\('device'\)"),
        ([], [sl.Id("title")], r"no ids that have an index here.*use Id\('item'\)"),
    ],
)
def test_a_column_that_a_tower_cannot_read_is_refused_with_the_remedy(query, candidate, says):
    with pytest.raises(SchemaError, match=says):
        FeatureSpace.fit(shop(), query, candidate)


@pytest.mark.parametrize(
    ("query", "candidate", "says"),
    [
        ([sl.Number("age"), sl.Number("age", buckets=3)], [], "two features have the name 'age'"),
        ([sl.Category("name")], [sl.Category("name")], "two features have the name 'name'.*another"),
        ([sl.Number("age", name="weight")], [], r"entry 'weight' of its own \(Number\('age'\)\)"),
        ([], [sl.Text("title", name="label")], "entry 'label' of its own.*name='…'"),
    ],
)
def test_a_name_that_is_taken_is_refused(query, candidate, says):
    people = users().with_columns(name=pl.lit("x"))
    things = items().with_columns(name=pl.lit("y"))
    data = sl.Dataset(interactions(), SCHEMA, users=people, items=things)
    with pytest.raises(ConfigError, match=says):
        FeatureSpace.fit(data, query, candidate)


def test_a_feature_that_stands_in_both_towers_once_is_one_feature():
    space = FeatureSpace.fit(shop(), [sl.Id("user"), sl.Id("user")], [sl.Id("item"), sl.Id("item")])
    assert set(space.encodings) == {"user", "item"}


def test_an_empty_column_is_refused_when_fitting():
    data = sl.Dataset(interactions().with_columns(temperature=None), SCHEMA)
    with pytest.raises(DataError, match="'temperature' holds no value to learn from"):
        FeatureSpace.fit(data, [sl.Number("temperature")])


def test_an_item_feature_in_a_query_is_refused():
    space = FeatureSpace.fit(shop(), [sl.Id("user")], [sl.Id("item")])
    space.query = space.candidate
    with pytest.raises(ConfigError, match="'item' describes items; give it to the candidate tower"):
        space.query_batch(Requests.from_history(sl.Ragged.empty(1)))


def test_an_entry_that_is_no_tensor_is_named():
    with pytest.raises(ShapeError, match="no tensor 'lable'; did you mean 'label'"):
        dense({"label": torch.ones(1)}, "lable")
    with pytest.raises(ShapeError, match="no tensor 'bag'"):
        dense({"bag": sl.Ragged.empty(1)}, "bag")
    assert dense({"label": torch.ones(1)}, "label").tolist() == [1]


def test_types_that_are_no_history_are_in_no_history_feature():
    data = shop()
    space = FeatureSpace.fit(data, [sl.History("item", length=100)])
    batch = space.query_batch(data.requests_of(torch.arange(len(data.people))))
    remembered = sum(
        EVENTS[kind].history and not EVENTS[kind].negative for kind in data.interactions["event"]
    )
    assert len(batch["item_history"].values) == remembered
