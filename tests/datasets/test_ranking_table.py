"""Tables of lists: their columns go together through every change."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from shortlist.datasets import RankingTable, RankingTableLoader, ranking_lists, ranking_table
from shortlist.errors import DataError, SchemaError, ShapeError


def shown() -> RankingTable:
    return RankingTable(
        torch.arange(12.0).view(6, 2),
        torch.tensor([0.0, 1, 0, 0, 1, 2]),
        torch.tensor([0, 2, 2, 5, 6]),
        ("a", "b", "c", "d"),
        ("x", "y"),
        positions=torch.tensor([0, 1, 0, 1, 2, 0]),
        item_weights=torch.arange(6.0),
        list_weights=torch.arange(4.0),
    )


def test_positions_and_weights_go_with_their_lists():
    taken = shown().take(torch.tensor([3, 1, 0]))
    assert taken.positions.tolist() == [0, 0, 1]
    assert taken.item_weights.tolist() == [5, 0, 1]
    assert taken.list_weights.tolist() == [3, 1, 0]
    assert taken.with_relative_features().positions.tolist() == [0, 0, 1]
    both = RankingTable.concatenate([taken, shown()])
    assert both.positions.tolist() == [0, 0, 1, 0, 1, 0, 1, 2, 0]
    assert both.list_weights.tolist() == [3, 1, 0, 0, 1, 2, 3]


def test_a_loader_gives_each_item_its_own_position_and_weight():
    for batch in RankingTableLoader(shown(), batch_size=2, seed=1).epoch(0):
        assert batch["features"].values[:, 0].tolist() == (2 * batch["item_weight"]).tolist()
        assert len(batch["list_weight"]) == len(batch["features"])
        assert batch["position"].tolist() == batch["features"].positions().tolist()


def test_what_a_table_lacks_is_not_in_its_batches():
    plain = RankingTable(torch.zeros(2, 1), torch.zeros(2), torch.tensor([0, 2]), ("a",))
    assert set(plain.batch()) == {"features", "label"}


@pytest.mark.parametrize(
    ("column", "wrong"),
    [("positions", torch.zeros(5)), ("item_weights", torch.zeros(6, 1)), ("list_weights", torch.zeros(6))],
)
def test_columns_of_another_length_are_refused(column, wrong):
    table = shown()
    with pytest.raises(ShapeError, match=f"{column} are "):
        RankingTable(table.features, table.labels, table.offsets, table.queries, **{column: wrong})


def test_tables_of_which_one_lacks_positions_are_not_stacked():
    table = shown()
    bare = RankingTable(table.features, table.labels, table.offsets, table.queries)
    with pytest.raises(ShapeError, match="1 of 2 tables have positions"):
        RankingTable.concatenate([table, bare])


IMPRESSIONS = pl.DataFrame(
    {
        "session": ["b", "a", "b", "a"],
        "price": [1.0, 2.0, 3.0, 4.0],
        "clicked": [0, 1, 1, 0],
        "place": [1, 0, 0, 1],
        "trust": [0.5, 1.0, 2.0, 0.0],
    }
)


def test_positions_and_weights_are_read_beside_the_features():
    table = ranking_table(IMPRESSIONS, query="session", label="clicked", position="place", weight="trust")
    assert table.columns == ("price",)
    assert table.positions.tolist() == [1, 0, 0, 1]
    assert table.item_weights.tolist() == [0.5, 2, 1, 0]
    rows = IMPRESSIONS.group_by("session", maintain_order=True).agg(items=pl.struct(pl.exclude("session")))
    lists = ranking_lists(
        rows.with_columns(share=pl.Series([3.0, 1.0])),
        items="items",
        label="clicked",
        position="place",
        weight="trust",
        list_weight="share",
    )
    assert lists.columns == ("price",)
    assert torch.equal(lists.positions, table.positions)
    assert torch.equal(lists.item_weights, table.item_weights)
    assert lists.list_weights.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("place", [0, 1, -1, 0], "row 1 of column 'place' is -1.*from 0"),
        ("place", [0, 0.5, 1, 0], "column 'place' is 0.5"),
        ("place", [0, None, 1, 0], "column 'place' is None"),
        ("trust", [0.1, -0.5, 1, 0], "column 'trust' is -0.5"),
        ("trust", [0.1, float("nan"), 1, 0], "column 'trust' is nan"),
    ],
)
def test_positions_and_weights_that_make_no_sense_are_refused(column, values, match):
    frame = IMPRESSIONS.with_columns(pl.Series(column, values, strict=False))
    with pytest.raises(DataError, match=match):
        ranking_table(frame, query="session", label="clicked", position="place", weight="trust")
    with pytest.raises(SchemaError, match=r"there is no column 'plac'.*did you mean 'place'"):
        ranking_table(frame, query="session", label="clicked", position="plac")
