"""Which feature a column suggests."""

from __future__ import annotations

import datetime

import polars as pl
import pytest

from shortlist.cli.guess_features import guess_feature, guess_features
from shortlist.data import Category, Number, Tags, Text, Timestamp, Vector

ROWS = 200


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"{row % 7}" for row in range(ROWS)], Category("x")),
        ([row % 2 == 0 for row in range(ROWS)], Category("x")),
        ([row % 5 for row in range(ROWS)], Category("x")),
        (list(range(ROWS)), Number("x")),
        ([row / 7 for row in range(ROWS)], Number("x")),
        ([f"The tale of {row}" for row in range(ROWS)], Text("x")),
        ([f"code-{row}" for row in range(ROWS)], None),
        ([["a", "b", f"{row % 9}"] for row in range(ROWS)], Tags("x")),
        ([f"a|b|{row % 9}" for row in range(ROWS)], Tags("x")),
        ([f"a;b;{row % 9}" for row in range(ROWS)], Tags("x", separator=";")),
        ([[float(row), 1.0] for row in range(ROWS)], Vector("x")),
        ([[1.0] * (row % 3 + 1) for row in range(ROWS)], None),
        ([[] for _ in range(ROWS)], None),
        ([datetime.date(2020, 1, 1) + datetime.timedelta(row) for row in range(ROWS)], Timestamp("x")),
        ([None] * ROWS, None),
        (["same"] * ROWS, None),
        ([float("nan")] * (ROWS - 1) + [float("inf")], None),
        ([b"bytes"] * ROWS, None),
        ([{"a": row} for row in range(ROWS)], None),
        ([datetime.timedelta(row) for row in range(ROWS)], None),
    ],
)
def test_a_column_suggests_a_feature(values, expected):
    assert guess_feature(pl.Series("x", values, strict=False)) == expected


def test_missing_values_do_not_matter():
    values = [None, *range(ROWS), None]
    assert guess_feature(pl.Series("x", values)) == Number("x")


def test_an_array_column_is_a_vector():
    assert guess_feature(pl.Series("x", [[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2))) == Vector(
        "x"
    )


def test_names_that_are_taken_get_a_number():
    table = pl.DataFrame({"id": range(ROWS), "age": range(ROWS), "label": range(ROWS)})
    taken = {"age", "age_2"}
    found = guess_features(table, key="id", taken=taken)
    assert [feature.name for feature in found] == ["age_3", "label_2"]
    assert taken == {"age", "age_2", "age_3", "label_2"}
