"""Ids are found alike in a table, by search and by a join."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.lookup import Lookup, categories, category_counts, category_positions, is_sparse

FAR = 2**62
integers = st.one_of(st.integers(-5, 60), st.sampled_from([FAR, -FAR, 2**63 - 1, -(2**63)]))


@given(st.lists(integers, unique=True, min_size=1, max_size=30), st.lists(st.one_of(st.none(), integers)))
@settings(max_examples=80, deadline=None)
def test_integers_are_found_at_their_place_however_far_apart(ids, asked):
    places = {id_: place for place, id_ in enumerate(ids, start=1)}
    lookup = Lookup(pl.Series(ids, dtype=pl.Int64))
    values = pl.Series(asked, dtype=pl.Int64)
    expected = [places.get(id_, 0) for id_ in asked]
    assert lookup.find(values).tolist() == expected
    assert lookup._find_by_join(values).tolist() == expected
    assert lookup._find_by_search(values).tolist() == expected


@given(st.lists(st.text(max_size=3), unique=True, min_size=1, max_size=30), st.data())
@settings(max_examples=80, deadline=None)
def test_strings_are_found_by_search_as_by_a_join(ids, data):
    asked = data.draw(st.lists(st.one_of(st.none(), st.sampled_from(ids), st.text(max_size=3))))
    places = {id_: place for place, id_ in enumerate(ids, start=1)}
    lookup = Lookup(pl.Series(ids, dtype=pl.String))
    values = pl.Series(asked, dtype=pl.String)
    for found in (lookup._find_by_search(values), lookup._find_by_join(values), lookup.find(values)):
        assert found.tolist() == [places.get(id_, 0) for id_ in asked]


def test_nothing_is_found_among_no_ids():
    assert Lookup(pl.Series([], dtype=pl.String)).find(pl.Series(["a", None])).tolist() == [0, 0]
    assert Lookup(pl.Series(["a"])).find(pl.Series([], dtype=pl.String)).tolist() == []


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["d", "c", "b", "a"])])
@given(values=st.lists(st.one_of(st.none(), st.sampled_from("abcd")), max_size=20))
@settings(max_examples=40, deadline=None)
def test_categories_are_counted_and_placed_like_strings(dtype, values):
    column = pl.Series(values, dtype=dtype)
    codes, names = categories(column)
    assert sorted(names) == sorted({value for value in values if value is not None})
    assert category_counts(column, codes).tolist() == [values.count(name) for name in names]
    places = category_positions(column, codes, np.arange(1, len(codes) + 1))
    assert places.tolist() == [0 if value is None else names.to_list().index(value) + 1 for value in values]


def test_a_few_rows_of_a_large_pool_are_read_one_by_one():
    _pool = pl.Series([f"another's {n}" for n in range(30_000)], dtype=pl.Categorical)
    column = pl.Series(["mine", "too", "mine"], dtype=pl.Categorical)
    assert is_sparse(column.to_physical().to_numpy(), 3)
    assert sorted(categories(column)[1]) == ["mine", "too"]
