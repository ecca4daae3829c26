"""Which column is which, by name and type."""

from __future__ import annotations

import polars as pl
import pytest

from shortlist.data.schema import Schema
from shortlist.datasets import guess_schema
from shortlist.errors import SchemaError


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"userId": [1], "movieId": [2], "rating": [3.5], "timestamp": [1_112_486_027]},
            Schema("userId", "movieId", timestamp="timestamp", label="rating"),
        ),
        (
            {"visitorid": [1], "event": ["view"], "itemid": [2], "timestamp": [1_433_221_332_117]},
            Schema("visitorid", "itemid", timestamp="timestamp", event="event"),
        ),
        (
            {"reviewerID": ["A1"], "asin": ["B7"], "overall": [5.0], "unixReviewTime": [1_112_486_027]},
            Schema("reviewerID", "asin", timestamp="unixReviewTime", label="overall"),
        ),
        ({"date": ["not a date"], "item": [1], "user": [2]}, Schema("user", "item")),
        (
            {"shop_user_id": ["a"], "shop_product_id": ["b"], "created_at": ["2024-01-31 12:00:00"]},
            Schema("shop_user_id", "shop_product_id", timestamp="created_at"),
        ),
        ({"score": ["high"], "item": [1], "user": [2]}, Schema("user", "item")),
    ],
)
def test_common_tables_are_understood(columns, expected):
    assert guess_schema(pl.DataFrame(columns)) == expected


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"item_id": [1], "who": [2]}, r"ids of the users: 'item_id', 'who'.*Schema\(user_id=…\)"),
        ({"user_id": [1], "what": [2]}, r"ids of the items.*Schema\(item_id=…\)"),
        ({"user_id": [1.5], "item_id": [2]}, "ids of the users"),
    ],
)
def test_a_table_without_ids_is_refused_with_its_columns(columns, said):
    with pytest.raises(SchemaError, match=said):
        guess_schema(pl.DataFrame(columns))
