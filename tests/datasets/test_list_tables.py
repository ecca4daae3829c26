"""Ranking tables from ordinary tables."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.datasets import RankingTable, RankingTableLoader, ranking_lists, ranking_table
from shortlist.errors import ConfigError, DataError, SchemaError, ShapeError

ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 4), st.floats(-9, 9, width=32), st.booleans()),
    min_size=1,
    max_size=20,
)


def rows_of(table: RankingTable) -> list[tuple[str, list[tuple[float, list[float]]]]]:
    bounds = table.offsets.tolist()
    return [
        (name, list(zip(table.labels[a:b].tolist(), table.features[a:b].tolist(), strict=True)))
        for name, a, b in zip(table.queries, bounds, bounds[1:], strict=False)
    ]


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_rows_are_grouped_in_the_order_of_their_first_appearance(rows) -> None:
    frame = pl.DataFrame(rows, schema=["query", "label", "score", "fresh"], orient="row")
    table = ranking_table(frame, query="query", label="label")
    expected: dict[str, list[tuple[float, list[float]]]] = {}
    for query, label, score, fresh in rows:
        expected.setdefault(query, []).append((float(label), [score, float(fresh)]))
    assert rows_of(table) == list(expected.items())
    assert table.columns == ("score", "fresh")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(-9, 9)), max_size=4), min_size=1, max_size=6)
)
def test_a_list_column_is_a_list_and_its_context_is_repeated(lists) -> None:
    frame = pl.DataFrame(
        {
            "hour": list(range(len(lists))),
            "items": [[{"click": click, "price": price} for click, price in row] for row in lists],
        },
        schema={"hour": pl.Int32, "items": pl.List(pl.Struct({"click": pl.Int8, "price": pl.Int16}))},
    )
    table = ranking_lists(frame, items="items", label="click", context=["hour"])
    expected = [
        (str(hour), [(float(click), [float(hour), float(price)]) for click, price in row])
        for hour, row in enumerate(lists)
    ]
    assert rows_of(table) == expected


def test_files_are_read(tmp_path) -> None:
    frame = pl.DataFrame({"q": [7, 8, 7], "y": [1, 0, 2], "x": [0.5, 1.5, 2.5], "title": ["a", "b", "c"]})
    for name, write in (("t.csv", frame.write_csv), ("t.parquet", frame.write_parquet)):
        write(tmp_path / name)
        table = ranking_table(tmp_path / name, query="q", label="y", features=["x"])
        assert rows_of(table) == [("7", [(1, [0.5]), (2, [2.5])]), ("8", [(0, [1.5])])]
    lists = pl.DataFrame({"name": ["u", "v"], "docs": [[{"y": 1, "x": 2.0}], None]})
    lists.write_parquet(tmp_path / "lists.parquet")
    table = ranking_lists(tmp_path / "lists.parquet", items="docs", label="y", query="name")
    assert rows_of(table) == [("u", [(1, [2.0])]), ("v", [])]


FRAME = pl.DataFrame({"q": [1, 1], "y": [1.0, 0.0], "x": [1.0, 2.0], "title": ["a", "b"]})
LISTS = pl.DataFrame({"x": [1], "docs": [[{"y": 1, "x": 2.0}]], "flat": [[1]]})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ranking_table(FRAME, query="qid", label="y"), SchemaError, "no column 'qid'"),
        (lambda: ranking_table(FRAME, query="q", label="y"), SchemaError, "'title' holds String"),
        (lambda: ranking_table(FRAME, query="q", label="y", features=[]), SchemaError, "no feature"),
        (lambda: ranking_table(FRAME.clear(), query="q", label="y"), DataError, "no row"),
        (
            lambda: ranking_table(FRAME.with_columns(q=None), query="q", label="y", features=["x"]),
            DataError,
            "2 rows have no 'q'",
        ),
        (
            lambda: ranking_table(
                FRAME.with_columns(x=pl.Series([1.0, None])), query="q", label="y", features=["x"]
            ),
            DataError,
            "row 1 of column 'x' is None",
        ),
        (lambda: ranking_lists(LISTS, items="flat", label="y"), SchemaError, "not lists of structs"),
        (lambda: ranking_lists(LISTS, items="docs", label="z"), SchemaError, "no column 'z'"),
        (
            lambda: ranking_lists(LISTS, items="docs", label="y", context=["x"]),
            SchemaError,
            "'x' is a column and",
        ),
        (lambda: ranking_lists(LISTS.clear(), items="docs", label="y"), DataError, "no row"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_loader_goes_through_every_list_once_in_an_order_of_its_own() -> None:
    frame = pl.DataFrame({"q": [0, 0, 1, 2, 2, 2, 3], "y": [0, 1, 2, 0, 1, 2, 0], "x": range(7)})
    table = ranking_table(frame, query="q", label="y")
    loader = RankingTableLoader(table, batch_size=3, seed=1)
    epochs = [list(loader.epoch(number)) for number in (0, 0, 1)]
    assert len(loader) == len(epochs[0]) == 2
    seen = [torch.cat([batch["features"].values.flatten() for batch in epoch]).tolist() for epoch in epochs]
    assert seen[0] == seen[1]
    assert sorted(seen[0]) == sorted(seen[2]) == list(range(7))
    late = list(loader.epoch(0, start=1))
    assert torch.equal(late[0]["label"], epochs[0][1]["label"])
    with pytest.raises(ConfigError, match="batch_size is 0"):
        RankingTableLoader(table, batch_size=0)


def test_tables_are_stacked_and_given_relative_features() -> None:
    first = ranking_table(pl.DataFrame({"q": [1, 1], "y": [1, 0], "x": [1.0, 3.0]}), query="q", label="y")
    second = ranking_table(pl.DataFrame({"q": [2], "y": [2], "x": [5.0]}), query="q", label="y")
    both = RankingTable.concatenate([first, second])
    assert rows_of(both) == [*rows_of(first), *rows_of(second)]
    wide = both.with_relative_features()
    assert wide.columns == ("x", "x_standard", "x_rank")
    assert wide.features.tolist() == [[1, -1, 0], [3, 1, 1], [5, 0, 0.5]]
    with pytest.raises(ShapeError, match=r"\[1, 3\] features"):
        RankingTable.concatenate([first, wide])
