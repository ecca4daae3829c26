"""Rows of a dynamic table as columns, and as Arrow files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import torch
from nn.dynamic_cases import assert_same, train

from shortlist.errors import BundleError, DataError, SchemaError
from shortlist.nn import DynamicEmbedding
from shortlist.training import Adagrad, LazyAdam, RowwiseAdagrad


def trained(make: Any = Adagrad) -> DynamicEmbedding:
    table = DynamicEmbedding(3)
    train(table, make(table.parameters(), lr=0.1), range(6))
    return table


@pytest.mark.parametrize("make", [Adagrad, RowwiseAdagrad, LazyAdam])
def test_rows_that_were_exported_train_on_as_before(make: Any, tmp_path: Path) -> None:
    table, other = trained(make), DynamicEmbedding(3)
    table.export_rows(tmp_path / "rows.arrow")
    other.import_rows(tmp_path / "rows.arrow")
    assert other.rows().equals(table.rows())
    for each in (table, other):
        train(each, make(each.parameters(), lr=0.1), range(6, 9), span=60)
    assert other.rows().drop("last_seen").equals(table.rows().drop("last_seen"))


def test_the_file_is_ordinary_arrow(tmp_path: Path) -> None:
    table = trained()
    table.export_rows(tmp_path / "rows.arrow")
    with pa.memory_map(str(tmp_path / "rows.arrow")) as source:
        read = pa.ipc.open_file(source).read_all()
    assert read.column_names == ["id", "weights", "adagrad_state", "count", "last_seen"]
    assert read["id"].to_pylist() == sorted(range(40))
    first = table.eval()(torch.tensor([0]))[0].tolist()
    assert read["weights"][0].as_py() == first
    assert sum(read["count"].to_pylist()) == 6 * 30


def test_an_empty_table_makes_an_empty_frame_and_takes_one() -> None:
    table = DynamicEmbedding(3)
    assert table.rows().schema == {
        "id": pl.Int64,
        "weights": pl.Array(pl.Float32, 3),
        "count": pl.Int64,
        "last_seen": pl.Int64,
    }
    table.put_rows(table.rows())
    assert table.num_rows == 0


def test_weights_from_elsewhere_start_like_new_rows() -> None:
    weights = pl.Series([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=pl.Array(pl.Float32, 3))
    frame = pl.DataFrame({"id": [5, -6], "weights": weights})
    table, twin = DynamicEmbedding(3), DynamicEmbedding(3)
    table.put_rows(frame)
    optimizer = Adagrad(table.parameters(), initial_accumulator_value=0.5)
    table(torch.tensor([5, 7])).sum().backward()
    optimizer.step()
    state = dict(zip(table.rows()["id"], table.rows()["adagrad_state"].to_list(), strict=True))
    assert state == {5: [1.5] * 3, 7: [1.5] * 3, -6: [0.5] * 3}
    table.put_rows(frame.with_columns(id=pl.Series([8, 5])))
    state = dict(zip(table.rows()["id"], table.rows()["adagrad_state"].to_list(), strict=True))
    assert (state[8], state[5]) == ([0.5] * 3, [0.5] * 3)
    twin.put_rows(trained().rows())  # with the state of a rule that the table then has
    twin.put_rows(frame)
    assert_same(twin, twin)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda frame: frame.drop("weights"), SchemaError, "column 'weights' is missing"),
        (lambda frame: frame.with_columns(pl.col("id").cast(pl.Float64)), SchemaError, "'id' is Float64"),
        (lambda frame: frame.with_columns(weights=frame["weights"].arr.to_list()), SchemaError, "is List"),
        (lambda frame: pl.concat([frame, frame]), DataError, "ids repeat"),
        (
            lambda frame: frame.with_columns(id=pl.Series([None, *range(39)])),
            DataError,
            "1 entries are missing",
        ),
        (
            lambda frame: frame.rename({"adagrad_state": "adam_state"}),
            SchemaError,
            "column 'adam_state' is Array",
        ),
        (
            lambda frame: frame.with_columns(sgd_state=frame["adagrad_state"]),
            SchemaError,
            "state of sgd and adagrad",
        ),
    ],
)
def test_frames_that_make_no_rows_are_refused(change: Any, error: Any, message: str) -> None:
    table = DynamicEmbedding(3)
    with pytest.raises(error, match=message):
        table.put_rows(change(trained().rows()))
    assert table.num_rows == 0


def test_numbers_that_are_none_are_refused() -> None:
    weights = pl.Series([[1.0, float("nan"), 3.0]], dtype=pl.Array(pl.Float32, 3))
    with pytest.raises(DataError, match="row of 'weights' 0 holds a NaN"):
        DynamicEmbedding(3).put_rows(pl.DataFrame({"id": [5], "weights": weights}))


def test_the_state_of_another_optimizer_is_refused() -> None:
    table = trained(LazyAdam)
    with pytest.raises(SchemaError, match="it holds the state of adagrad, the table that of adam"):
        table.put_rows(trained(Adagrad).rows())
    table.put_rows(trained(Adagrad).rows().drop("adagrad_state"))


def test_a_file_that_is_no_arrow_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.arrow").write_bytes(b"no arrow")
    with pytest.raises(BundleError, match="not an Arrow file"):
        DynamicEmbedding(3).import_rows(tmp_path / "rows.arrow")
