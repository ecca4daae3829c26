"""The items in the order of their index, filtered by predicates and grouped by columns."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from data_cases import shop
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.catalogue import Catalogue, aligned_items
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import SchemaError, ShapeError

VOCABULARY = Vocabulary(pl.Series(["x", "y", "z"]))
TABLE = pl.DataFrame(
    {"id": ["z", "x", "q", "z"], "price": [3.0, 1.0, 9.0, 7.0], "kind": ["b", "a", "c", "d"]}
)


def catalogue(**columns: pl.Series) -> Catalogue:
    return Catalogue(pl.DataFrame({"id": [None, "x", "y", "z"], **columns}), VOCABULARY)


def test_a_table_is_brought_into_the_order_of_the_index():
    aligned = aligned_items(TABLE, VOCABULARY, key="id")
    assert aligned.rows() == [(None, None, None), ("x", 1.0, "a"), ("y", None, None), ("z", 3.0, "b")]


def test_without_a_table_the_items_are_their_ids():
    for table in (None, TABLE.drop("id")):
        assert aligned_items(table, VOCABULARY, key="id").rows() == [(None,), ("x",), ("y",), ("z",)]


@pytest.mark.parametrize("dtype", [pl.Int32, pl.UInt64, pl.String])
def test_the_type_of_the_tables_ids_may_differ(dtype):
    table = pl.DataFrame({"id": pl.Series([8, 7], dtype=pl.Int64).cast(dtype), "name": ["eight", "seven"]})
    aligned = aligned_items(table, Vocabulary(pl.Series([7, 8])), key="id")
    assert aligned["name"].to_list() == [None, "seven", "eight"]


@given(st.floats(0, 1100), st.sampled_from(["a", "b", "z"]))
@settings(max_examples=30, deadline=None)
def test_a_mask_allows_what_the_predicate_says_and_never_the_unknown(limit, genre):
    whole = shop().catalogue
    mask = whole.mask((pl.col("price") <= limit) & pl.col("genres").str.contains(genre))
    expected = [
        row["price"] is not None and row["price"] <= limit and genre in (row["genres"] or "")
        for row in whole.items.iter_rows(named=True)
    ]
    assert mask.tolist() == expected
    assert mask.dtype == torch.bool


def test_the_unknown_item_is_not_allowed_by_a_predicate_that_is_true_of_nulls():
    mask = catalogue(price=pl.Series([None, 1.0, None, 3.0])).mask(pl.col("price").is_null())
    assert mask.tolist() == [False, False, True, False]
    mask[1] = True  # the mask is the caller's own


@pytest.mark.parametrize(
    ("predicate", "says"),
    [
        (pl.col("prise") > 1, r"(?s)cannot be evaluated.*the item table has \['id', 'price'\]"),
        (pl.col("price") > "x", "cannot be evaluated"),
        (pl.col("price") + 1, "gives Float64, not one boolean an item; compare a column"),
        (pl.col("price").max() > 1, "not one boolean an item"),
    ],
)
def test_a_predicate_that_is_none_is_refused(predicate, says):
    with pytest.raises(SchemaError, match=says):
        catalogue(price=pl.Series([None, 1.0, None, 3.0])).mask(predicate)


@pytest.mark.parametrize(
    ("column", "groups"),
    [
        (pl.Series(["b", "a", None, "b"]), [[1], [0], [], [1]]),
        (pl.Series(["b", "a", None, "b"], dtype=pl.Categorical), [[1], [0], [], [1]]),
        (pl.Series([True, False, None, True]), [[1], [0], [], [1]]),
        (pl.Series([30, 10, None, 20]), [[2], [0], [], [1]]),
        (pl.Series([["b", "a"], [], None, ["c", None]]), [[1, 0], [], [], [2]]),
        (pl.Series([None] * 4, dtype=pl.String), [[], [], [], []]),
    ],
)
def test_groups_number_the_values_of_a_column(column, groups):
    assert catalogue(kind=column).groups("kind").to_lists() == groups


def test_a_missing_column_is_named_with_the_nearest_one():
    with pytest.raises(SchemaError, match=r"no column 'prise'; did you mean 'price'"):
        catalogue(price=pl.Series([1, 2, 3, 4])).column("prise")
    assert catalogue().columns == ["id"]


def test_a_catalogue_has_one_row_an_index():
    with pytest.raises(ShapeError, match="the item table has 3 rows for 4 item indices"):
        Catalogue(pl.DataFrame({"id": ["x", "y", "z"]}), VOCABULARY)
    with pytest.raises(ShapeError, match="the item vectors has 2 rows for 4"):
        Catalogue(pl.DataFrame({"id": [None, "x", "y", "z"]}), VOCABULARY, vectors=torch.zeros(2, 3))
    assert len(catalogue()) == 4
