"""Which items go to a device, which columns they keep, and what they stand for."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from planted import ITEMS, planted

from shortlist.data import Dataset, Schema
from shortlist.data.catalogue import Catalogue
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import ConfigError
from shortlist.export.item_columns import device_columns
from shortlist.export.selection import select_items


def events(*pairs: tuple[str, str]) -> Dataset:
    users, items = zip(*pairs, strict=True)
    return Dataset(pl.DataFrame({"user_id": users, "item_id": items}), Schema())


def chosen(data: Dataset, count: int) -> set[str]:
    return set(data.item_vocabulary.decode(select_items(data, count).rows[1:]).to_list())


def test_all_items_stand_for_all_events():
    selection = select_items(planted())
    assert len(selection.rows) == ITEMS + 1
    assert (selection.traffic, selection.reach) == (1.0, 1.0)


def test_rows_are_in_the_order_of_the_index_and_the_unknown_comes_first():
    rows = select_items(planted(), 7).rows
    assert rows[0] == 0
    assert (np.diff(rows) > 0).all()
    assert len(rows) == 8


def test_a_place_is_the_row_of_an_item_and_0_for_one_that_is_not_there():
    selection = select_items(planted(), 7)
    place = selection.place(ITEMS + 1)
    assert (place[selection.rows] == np.arange(8)).all()
    assert (np.delete(place, selection.rows) == 0).all()


def test_the_shares_are_those_of_the_events_and_the_users():
    data = events(("a", "x"), ("a", "x"), ("b", "x"), ("b", "y"), ("c", "z"))
    selection = select_items(data, 1)
    assert selection.traffic == pytest.approx(3 / 5)
    assert selection.reach == pytest.approx(2 / 3)


def test_somebody_with_few_events_has_a_say():
    # "much" has more events, but all of one user; "some" is all that three others did.
    data = events(*[("busy", "much")] * 4, *[(user, "some") for user in "abc"])
    assert chosen(data, 1) == {"some"}


def test_more_items_never_cover_less():
    shares = [select_items(planted(), count).traffic for count in (1, 5, 20, ITEMS)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_at_least_one_item_stays():
    with pytest.raises(ConfigError, match="at least one"):
        select_items(planted(), 0)


def test_columns_keep_their_kind_and_become_plain_values():
    table = pl.DataFrame(
        {
            "item_id": [None, "a", "b"],
            "title": [None, "One", None],
            "genres": [None, ["x", None], None],
            "year": [None, 1990, None],
            "price": [None, 1.5, float("nan")],
            "new": [None, True, None],
            "released": [None, datetime.date(1970, 1, 2), None],
            "first_seen": [None, 7, None],
            "picture": [None, [0.5], None],
            "maker": pl.Series([None, "m", None], dtype=pl.Categorical),
        }
    )
    catalogue = Catalogue(table, Vocabulary(pl.Series(["a", "b"])))
    kinds, values = device_columns(catalogue, np.array([1, 2]), item_id="item_id")
    assert kinds == {
        "title": "text",
        "genres": "tags",
        "year": "number",
        "price": "number",
        "new": "boolean",
        "released": "timestamp",
        "first_seen": "timestamp",
        "maker": "text",
    }
    assert values == {
        "title": ["One", None],
        "genres": [["x"], []],
        "year": [1990, None],
        "price": [1.5, None],
        "new": [True, None],
        "released": [86_400, None],
        "first_seen": [7, None],
        "maker": ["m", None],
    }
