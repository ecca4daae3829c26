"""Each kind of feature encodes a column as the slow reference encodes one value at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import encodings as slow

import shortlist as sl
from shortlist.data.fitting import fit_encoding
from shortlist.errors import DataError, SchemaError

words = st.one_of(st.none(), st.sampled_from(["a", "b", "ä", "a b", "", "Zoë"]))
odd = st.sampled_from([float("nan"), float("inf"), 0.0, 3.5, 1e99, -1e100, 1e308])
numbers = st.one_of(st.none(), st.floats(-1e6, 1e6), odd)


def columns(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(values, min_size=1, max_size=12)


@given(columns(words), columns(words))
@settings(max_examples=50, deadline=None)
def test_a_category_is_its_place_by_count_and_zero_where_unknown(train, asked):
    known = slow.vocabulary(train)
    for kind in (pl.String, pl.Categorical):
        encoding = fit_encoding(sl.Category("c"), pl.Series("c", train, dtype=kind))
        assert encoding.size == len(known) + 1
        encoded = encoding.encode(pl.Series("c", asked, dtype=kind))
        assert encoded.tolist() == [known.get(value, 0) for value in asked]


def test_categories_may_be_integers_or_booleans():
    encoding = fit_encoding(sl.Category("c"), pl.Series("c", [5, 5, 7, None]))
    assert encoding.encode(pl.Series("c", [7, 5, 6, None])).tolist() == [2, 1, 0, 0]
    encoding = fit_encoding(sl.Category("c"), pl.Series("c", [True, True, False]))
    assert encoding.encode(pl.Series("c", [False, True, None])).tolist() == [2, 1, 0]


@given(columns(words), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_a_hashed_category_is_a_stable_bucket(values, buckets):
    encoding = fit_encoding(sl.Category("c", buckets=buckets), pl.Series("c", ["never mind"]))
    encoded = encoding.encode(pl.Series("c", values, dtype=pl.String))
    assert encoded.tolist() == [slow.bucket_of_hash(value, buckets) for value in values]
    assert encoded.max() < encoding.size


def test_a_hash_means_the_same_in_every_version():
    encoding = fit_encoding(sl.Category("c", buckets=1000), pl.Series("c", ["x"]))
    # CRC-32 of "123456789" is 0xCBF43926, the check value of the algorithm's catalogue.
    assert encoding.encode(pl.Series("c", ["123456789"])).tolist() == [0xCBF43926 % 1000 + 1]


@given(columns(numbers), columns(numbers))
@settings(max_examples=60, deadline=None)
def test_a_number_is_its_distance_from_the_mean_and_missing_is_flagged(train, asked):
    known = [value for value in train if slow.is_known(value)]
    column = pl.Series("n", train, dtype=pl.Float64)
    if not known:
        with pytest.raises(DataError, match=rf"'n' holds no value to learn from \({len(train)} rows\)"):
            fit_encoding(sl.Number("n"), column)
        return
    encoded = fit_encoding(sl.Number("n"), column).encode(pl.Series("n", asked, dtype=pl.Float64))
    expected = [slow.standard(value, known) for value in asked]
    np.testing.assert_allclose(encoded, expected, rtol=1e-4, atol=1e-4)
    assert encoded.dtype == torch.float32


@pytest.mark.parametrize("value", [0.1, 1e-300, 12_345.678, 1e15 / 3])
def test_a_constant_column_does_not_blow_up_a_later_value(value):
    for rows in (1, 3, 10, 1000, 1001):
        encoding = fit_encoding(sl.Number("n"), pl.Series("n", [value] * rows))
        assert encoding.deviation == 1.0


@given(columns(numbers), columns(numbers), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_a_bucket_of_a_number_lies_between_quantiles(train, asked, buckets):
    known = [value for value in train if slow.is_known(value)]
    column = pl.Series("n", train, dtype=pl.Float64)
    if not known:
        return
    encoding = fit_encoding(sl.Number("n", buckets=buckets), column)
    bounds = sorted({float(np.quantile(known, part / buckets)) for part in range(1, buckets)})
    np.testing.assert_allclose(encoding.bounds, bounds)
    encoded = encoding.encode(pl.Series("n", asked, dtype=pl.Float64))
    assert encoded.tolist() == [slow.quantile_bucket(value, encoding.bounds) for value in asked]
    assert encoded.max() < encoding.size <= buckets + 1


def test_buckets_hold_about_equally_many_values():
    column = pl.Series("n", np.random.default_rng(0).normal(size=1000))
    encoded = fit_encoding(sl.Number("n", buckets=4), column).encode(column)
    assert torch.bincount(encoded).tolist() == [0, 250, 250, 250, 250]


moments = st.one_of(st.none(), st.integers(0, 4_000_000_000))


@given(columns(moments), columns(moments))
@settings(max_examples=60, deadline=None)
def test_a_moment_has_three_cycles_and_an_age(train, asked):
    known = [float(value) for value in train if value is not None]
    if not known:
        return
    encoding = fit_encoding(sl.Timestamp("t"), pl.Series("t", train, dtype=pl.Int64))
    expected = [slow.moment(value, known) for value in asked]
    encoded = encoding.encode(pl.Series("t", asked, dtype=pl.Int64))
    np.testing.assert_allclose(encoded, expected, rtol=1e-4, atol=2e-5)
    as_dates = [None if value is None else datetime.fromtimestamp(value, UTC) for value in asked]
    for unit in ("ms", "us"):
        dates = pl.Series("t", as_dates, dtype=pl.Datetime(unit, "UTC"))
        for column in (dates, dates.dt.convert_time_zone("Asia/Tokyo"), dates.dt.replace_time_zone(None)):
            assert encoding.encode(column).equal(encoded)


def test_a_date_is_its_midnight_and_an_unknown_column_is_missing():
    encoding = fit_encoding(sl.Timestamp("t"), pl.Series("t", [date(2024, 1, 30), date(2024, 2, 1), None]))
    assert encoding.origin == 1_706_659_200
    encoded = encoding.encode(pl.Series("t", [None, None]))
    assert encoded.tolist() == [[0.0] * 7 + [1.0]] * 2


texts = st.one_of(st.none(), st.text(alphabet="aB1 -_.é!", max_size=12), st.sampled_from(["", "The the THE"]))


@given(st.lists(texts, max_size=8), st.integers(1, 3), st.sampled_from([1, 7, 1000]))
@settings(max_examples=80, deadline=None)
def test_a_text_is_the_bag_of_its_hashed_runs_of_words(values, ngrams, buckets):
    encoding = fit_encoding(sl.Text("t", ngrams=ngrams, buckets=buckets), pl.Series("t", ["x"]))
    bags = encoding.encode(pl.Series("t", values, dtype=pl.String))
    assert bags.to_lists() == [slow.text(value, ngrams, buckets) for value in values]
    assert encoding.size == buckets + 1


tag_lists = st.one_of(
    st.none(), st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c d", ""])), max_size=4)
)


@given(columns(tag_lists), columns(tag_lists))
@settings(max_examples=60, deadline=None)
def test_tags_are_the_known_ones_in_their_order(train, asked):
    known = slow.vocabulary([tag for row in train for tag in row or [] if tag])
    encoding = fit_encoding(sl.Tags("t"), pl.Series("t", train, dtype=pl.List(pl.String)))
    assert encoding.size == len(known) + 1
    bags = encoding.encode(pl.Series("t", asked, dtype=pl.List(pl.String)))
    assert bags.to_lists() == [slow.tags(row, known) for row in asked]


def test_tags_may_be_joined_strings_arrays_or_numbers():
    joined = pl.Series("t", ["b,a", None, "a", ""])
    encoding = fit_encoding(sl.Tags("t", separator=","), joined)
    assert encoding.encode(joined).to_lists() == [[2, 1], [], [1], []]
    arrays = pl.Series("t", [["b", "a"], ["a", "x"], None], dtype=pl.Array(pl.String, 2))
    assert encoding.encode(arrays).to_lists() == [[2, 1], [1], []]
    assert encoding.encode(arrays.cast(pl.Array(pl.Categorical, 2))).to_lists() == [[2, 1], [1], []]
    numbers = pl.Series("t", [[3, 5], [5], None])
    assert fit_encoding(sl.Tags("t"), numbers).encode(numbers).to_lists() == [[2, 1], [1], []]
    assert encoding.encode(pl.Series("t", [None])).to_lists() == [[]]


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Array(pl.Float32, 2), pl.List(pl.Int64)])
def test_a_vector_passes_through_and_a_missing_one_is_zero(dtype):
    column = pl.Series("v", [[1, 2], None, [3, 4]], dtype=dtype)
    encoding = fit_encoding(sl.Vector("v"), column)
    assert encoding.size == 2
    assert encoding.encode(column).tolist() == [[1, 2], [0, 0], [3, 4]]
    assert encoding.encode(pl.Series("v", [None, None])).tolist() == [[0, 0], [0, 0]]


def test_vectors_that_cannot_be_used_are_refused_by_row():
    encoding = fit_encoding(sl.Vector("v"), pl.Series("v", [[1.0, 2.0]]))
    with pytest.raises(DataError, match=r"1 numbers, the others 2 \(column 'v', row 1\)"):
        encoding.encode(pl.Series("v", [[1.0, 2.0], [1.0]]))
    for bad in (float("nan"), float("inf"), None):
        with pytest.raises(DataError, match=r"NaN or infinity.*use null"):
            encoding.encode(pl.Series("v", [[1.0, bad]]))


EMPTY = [
    (sl.Number("c", buckets=3), pl.Series("c", [None, float("nan")])),
    (sl.Timestamp("c"), pl.Series("c", [None], dtype=pl.Date)),
    (sl.Vector("c"), pl.Series("c", [None], dtype=pl.List(pl.Float32))),
    (sl.Vector("c"), pl.Series("c", [[], []], dtype=pl.List(pl.Float32))),
    (sl.Vector("c"), pl.Series("c", [None])),
]


@pytest.mark.parametrize(("feature", "column"), EMPTY)
def test_a_column_without_values_has_nothing_to_learn_from(feature, column):
    with pytest.raises(DataError, match=r"'c' holds no value to learn from.*leave the feature out"):
        fit_encoding(feature, column)


WRONG = [
    (sl.Number("c"), pl.Series("c", ["1"])),
    (sl.Timestamp("c"), pl.Series("c", ["2024-01-31"])),
    (sl.Timestamp("c"), pl.Series("c", [1], dtype=pl.Time)),
    (sl.Timestamp("c"), pl.Series("c", [1], dtype=pl.Duration("us"))),
    (sl.Text("c"), pl.Series("c", [1])),
    (sl.Category("c"), pl.Series("c", [["a"]])),
    (sl.Tags("c"), pl.Series("c", [{"a": 1}])),
    (sl.Vector("c"), pl.Series("c", [1.0])),
    (sl.Vector("c"), pl.Series("c", [["a"]])),
]


@pytest.mark.parametrize(("feature", "column"), WRONG)
def test_a_column_of_a_wrong_type_is_refused_by_name(feature, column):
    with pytest.raises(SchemaError, match=r"column 'c'"):
        fit_encoding(feature, column)


def test_a_feature_without_a_column_is_not_fitted():
    with pytest.raises(SchemaError, match="History takes no column"):
        fit_encoding(sl.History("i"), pl.Series("i", [1]))


def test_a_hashed_category_of_lists_is_refused():
    encoding = fit_encoding(sl.Category("c", buckets=3), pl.Series("c", ["a"]))
    with pytest.raises(SchemaError, match=r"one value a row.*use Tags"):
        encoding.encode(pl.Series("c", [["a"]]))
