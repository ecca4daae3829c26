"""A dataset and a feature space come back from disk as they were, bit by bit."""

from __future__ import annotations

import json

import polars as pl
import pytest
import torch
from data_cases import EVENTS, SCHEMA, interactions, items, shop, users

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.loader import BatchLoader
from shortlist.data.space_storage import FILE, load_space, save_space
from shortlist.data.storage import load_dataset, save_dataset
from shortlist.errors import BundleError

QUERY = [
    sl.Id("user"),
    sl.Number("age"),
    sl.Number("temperature", buckets=3),
    sl.Timestamp("time"),
    sl.Category("device"),
    sl.Category("device", name="hashed", buckets=50),
    sl.History("item", length=5),
]
CANDIDATE = [sl.Id("item"), sl.Text("title"), sl.Number("price"), sl.Tags("genres"), sl.Vector("image")]

SHOPS = {
    "whole": shop(),
    "categories": sl.Dataset(
        interactions().with_columns(pl.col("user", "event").cast(pl.Categorical)), SCHEMA, items=items()
    ),
    "bare": sl.Dataset(interactions().select("user", "item"), sl.Schema("user", "item")),
    "train": shop().split_by_time(0.3)[0],
}


@pytest.mark.parametrize("name", SHOPS)
def test_a_dataset_comes_back_with_the_same_tables_and_indices(tmp_path, name):
    data = SHOPS[name]
    save_dataset(data, tmp_path / "data")
    again = load_dataset(tmp_path / "data")
    assert again.schema == data.schema
    assert again.name == data.name
    assert again.interactions.equals(data.interactions)
    assert again.interactions.schema == data.interactions.schema
    for table in ("users", "items"):
        ours, theirs = getattr(data, table), getattr(again, table)
        assert (ours is None and theirs is None) or ours.equals(theirs)
    assert again.user_index.tolist() == data.user_index.tolist()
    assert again.item_index.tolist() == data.item_index.tolist()
    assert again.item_vocabulary.counts.tolist() == data.item_vocabulary.counts.tolist()
    assert again.catalogue.items.equals(data.catalogue.items)


def test_the_saved_indices_win_over_those_of_a_new_count(tmp_path):
    data = shop()
    data.user_vocabulary = data.user_vocabulary.extend(pl.Series(["u7"]))
    save_dataset(data, tmp_path / "data")
    assert load_dataset(tmp_path / "data").user_vocabulary.ids.to_list()[-1] == "u7"


def test_a_feature_space_comes_back_and_makes_the_same_batches(tmp_path):
    data = sl.Dataset(interactions(), SCHEMA, users=users(), items=items())
    space = FeatureSpace.fit(data, QUERY, CANDIDATE)
    save_space(space, tmp_path)
    again = load_space(data, tmp_path)
    assert again.query == space.query
    assert again.candidate == space.candidate
    assert again.sides == space.sides
    for name in ("temperature", "age", "time", "hashed", "item", "title", "price", "image"):
        assert again.encodings[name] == space.encodings[name]
    loaders = [BatchLoader(data, each, batch_size=16) for each in (space, again)]
    for one, other in zip(*(loader.epoch(1) for loader in loaders), strict=True):
        assert one.keys() == other.keys()
        for name, entry in one.items():
            if isinstance(entry, torch.Tensor):
                assert entry.equal(other[name])
            else:
                assert entry.values.equal(other[name].values)
                assert entry.offsets.equal(other[name].offsets)


@pytest.mark.parametrize("missing", ["schema.json", "interactions.arrow", "user_ids.arrow", "item_ids.arrow"])
def test_a_dataset_that_lacks_a_file_is_refused_by_its_folder(tmp_path, missing):
    save_dataset(shop(), tmp_path / "data")
    (tmp_path / "data" / missing).unlink()
    with pytest.raises(BundleError, match=rf"(?s)not a .*{missing}.*again"):
        load_dataset(tmp_path / "data")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema": {"user": 1}, "name": ""}', '{"schema": {}, "name": ""}']
)
def test_a_schema_file_that_is_none_is_refused(tmp_path, text):
    save_dataset(shop(), tmp_path / "data")
    (tmp_path / "data" / "schema.json").write_text(text)
    with pytest.raises(BundleError, match="not a saved dataset"):
        load_dataset(tmp_path / "data")


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_damaged_table_is_refused(tmp_path, content):
    save_dataset(shop(), tmp_path / "data")
    (tmp_path / "data" / "items.arrow").write_bytes(content)
    with pytest.raises(BundleError, match="not a saved dataset"):
        load_dataset(tmp_path / "data")


def test_a_feature_file_that_is_none_is_refused_by_name(tmp_path):
    data = shop()
    save_space(FeatureSpace.fit(data, QUERY, CANDIDATE), tmp_path)
    described = json.loads((tmp_path / FILE).read_text())
    wrong = [
        {},
        {**described, "query": [{"kind": "Idd", "column": "user"}]},
        {**described, "encodings": {}},
        {**described, "encodings": {**described["encodings"], "age": {"kind": "None"}}},
        {**described, "encodings": {**described["encodings"], "age": {"kind": "HashEncoding", "size": 1}}},
    ]
    for content in ["", "[]", *map(json.dumps, wrong)]:
        (tmp_path / FILE).write_text(content)
        with pytest.raises(BundleError, match=r"not a saved feature space.*features\.json"):
            load_space(data, tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(BundleError, match=r"features\.json"):
        load_space(data, tmp_path)


def test_a_damaged_vocabulary_of_a_feature_is_refused_by_name(tmp_path):
    data = shop()
    save_space(FeatureSpace.fit(data, [sl.Category("device")]), tmp_path)
    (tmp_path / "vocabulary-0.arrow").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match=r"not a vocabulary.*vocabulary-0\.arrow"):
        load_space(data, tmp_path)


def test_what_events_count_as_comes_back(tmp_path):
    save_dataset(shop(), tmp_path / "data")
    assert load_dataset(tmp_path / "data").schema.events == EVENTS
