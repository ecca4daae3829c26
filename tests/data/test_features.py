"""What a column means to a model."""

from __future__ import annotations

import pytest

import shortlist as sl
from shortlist.data.features import FEATURES, feature_from_dict
from shortlist.errors import ConfigError

EACH = [
    sl.Id("user", dim=3),
    sl.Category("device", buckets=10),
    sl.Number("age", name="years", buckets=4),
    sl.Timestamp("time"),
    sl.Text("title", ngrams=3, buckets=99),
    sl.Tags("genres", separator=","),
    sl.Vector("image"),
    sl.History("item", length=7, pooling="mean", dropout=0.1),
]


def test_every_kind_of_feature_comes_back_from_its_dict():
    assert [feature_from_dict(each.to_dict()) for each in EACH] == EACH
    assert [type(each) for each in EACH] == list(FEATURES)


def test_a_feature_is_named_after_its_column_and_a_history_apart():
    assert sl.Id("item").name == "item"
    assert sl.History("item").name == "item_history"
    assert sl.Id("item", name="x").name == "x"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sl.Id(""), "name of a column"),
        (lambda: sl.Category("c", buckets=0), r"buckets must be at least 1, got 0 \(Category\('c'\)\)"),
        (lambda: sl.Number("n", buckets=-1), "buckets must be at least 1"),
        (lambda: sl.Text("t", ngrams=0), "ngrams must be at least 1"),
        (lambda: sl.Text("t", buckets=0), "buckets must be at least 1"),
        (lambda: sl.History("i", length=0), "length must be at least 1"),
        (lambda: sl.History("i", dropout=1.0), "dropout must be from 0 to below 1"),
        (lambda: sl.History("i", pooling="men"), "did you mean 'mean'"),
        (lambda: feature_from_dict({"kind": "Idd", "column": "i"}), "did you mean 'Id'"),
        (lambda: feature_from_dict({"kind": "Id", "column": "i", "size": 3}), r"feature Id.*it takes.*'dim'"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_it_can_be(make, says):
    with pytest.raises(ConfigError, match=says):
        make()
