"""Streaming batches: every event once, the same order after a resume, histories without a leak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import shortlist as sl
from shortlist.errors import ConfigError, DataError

SCHEMA = sl.Schema(timestamp="time")


def write(folder: Path, rows: int, *, groups: int, files: int = 2) -> pl.DataFrame:
    """Some files of events sorted by user, each of several row groups."""
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "user_id": np.sort(random.integers(1, 40, rows)),
            "item_id": random.integers(1, 30, rows),
            "time": random.permutation(rows) + 1,
        }
    )
    for number, part in enumerate(frame.iter_slices(-(-rows // files))):
        part.write_parquet(folder / f"part-{number}.parquet", row_group_size=-(-len(part) // groups))
    return frame


def make(folder: Path, frame: pl.DataFrame, **options: object) -> sl.datasets.ParquetLoader:
    base = sl.Dataset(frame, SCHEMA)
    model = sl.TwoTower(sl.Tower([sl.History("item_id", length=5)]), sl.Tower([sl.Id("item_id")]))
    return sl.datasets.ParquetLoader(folder, base, model.build(base), **{"batch_size": 64, **options})


def pairs(batches: list[dict[str, torch.Tensor]]) -> list[tuple[int, int]]:
    return [
        pair
        for each in batches
        for pair in zip(each["user_index"].tolist(), each["item_index"].tolist(), strict=True)
    ]


@pytest.mark.parametrize("buffer_rows", [1, 150, 10_000])
def test_an_epoch_holds_every_event_once_in_full_batches(tmp_path: Path, buffer_rows: int) -> None:
    frame = write(tmp_path, 1000, groups=7)
    loader = make(tmp_path, frame, buffer_rows=buffer_rows)
    batches = list(loader.epoch(0))
    data = loader.base
    assert len(batches) == len(loader) == 16
    assert [len(each["item_index"]) for each in batches[:-1]] == [64] * 15
    assert sorted(pairs(batches)) == sorted(
        zip(data.user_index.tolist(), data.item_index.tolist(), strict=True)
    )


def test_epochs_differ_and_the_same_epoch_is_the_same_again(tmp_path: Path) -> None:
    loader = make(tmp_path, write(tmp_path, 500, groups=3), buffer_rows=100)
    first = pairs(list(loader.epoch(0)))
    assert first == pairs(list(loader.epoch(0)))
    assert first != pairs(list(loader.epoch(1)))


@pytest.mark.parametrize("start", [0, 1, 5, 7, 8])
def test_a_resumed_epoch_goes_on_with_the_next_batch(tmp_path: Path, start: int) -> None:
    loader = make(tmp_path, write(tmp_path, 500, groups=3), buffer_rows=100)
    whole = list(loader.epoch(3))
    assert pairs(list(loader.epoch(3, start=start))) == pairs(whole[start:])


def test_a_history_ends_strictly_before_its_event(tmp_path: Path) -> None:
    frame = write(tmp_path, 300, groups=1, files=1)
    loader = make(tmp_path, frame, buffer_rows=1000, shuffle=False)
    vocabulary = loader.base.item_vocabulary
    histories: list[list[int]] = []
    for each in loader.epoch(0):
        ragged = each[loader.space.query[0].name]
        histories += [
            ragged.values[a:b].tolist() for a, b in zip(ragged.offsets, ragged.offsets[1:], strict=False)
        ]
    rows = frame.rows(named=True)
    for row, history in zip(rows, histories, strict=True):
        before = sorted(
            (r["time"], r["item_id"])
            for r in rows
            if r["user_id"] == row["user_id"] and r["time"] < row["time"]
        )
        assert (
            history
            == vocabulary.encode(pl.Series([item for _, item in before[-5:]], dtype=pl.Int64)).tolist()
        )


def test_events_of_items_outside_the_base_are_left_out(tmp_path: Path) -> None:
    frame = write(tmp_path, 400, groups=2)
    known = frame.filter(pl.col("item_id") <= 10)
    loader = make(tmp_path, known, buffer_rows=100)
    assert len(pairs(list(loader.epoch(0)))) == len(known)


@pytest.mark.filterwarnings("ignore::shortlist.models.LosesToPopularity")
def test_a_model_learns_as_much_from_a_stream_as_in_memory(tmp_path: Path) -> None:
    train, test = sl.datasets.synthetic(users=300, items=300, events=9_000).split_by_time(0.1)
    train.interactions.sort("user_id").write_parquet(tmp_path / "events.parquet", row_group_size=1000)
    rates = []
    for streamed in (False, True):
        model = sl.TwoTower(sl.Tower([sl.Id("user_id")], dim=16), sl.Tower([sl.Id("item_id")], dim=16))
        space = model.build(train)
        stream = sl.datasets.ParquetLoader(tmp_path, train, space, batch_size=256, buffer_rows=3000)
        model.fit(train, loader=stream if streamed else None, epochs=8, batch_size=256)
        rates.append(model.evaluate(test)["hit_rate@100"])
    assert rates[1] > 0.9 * rates[0] > 100 / 300


def test_bad_rows_are_counted_over_all_row_groups(tmp_path: Path) -> None:
    frame = write(tmp_path, 40, groups=2, files=1)
    bad = frame.with_row_index().with_columns(
        user_id=pl.when(pl.col("index").is_in([3, 25, 26])).then(None).otherwise(pl.col("user_id"))
    )
    bad.drop("index").write_parquet(tmp_path / "part-0.parquet", row_group_size=20)
    loader = make(tmp_path, frame)
    assert (loader.report.rows_read, loader.report.rows_kept) == (40, 37)
    assert loader.report.causes == {"missing user id": 3}
    assert loader.report.examples == {"missing user id": (3, 25, 26)}
    assert len(pairs(list(loader.epoch(0)))) == 37


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    frame = write(tmp_path, 100, groups=2, files=1)
    file = tmp_path / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"part-0\.parquet"):
        make(tmp_path, frame)


def test_nothing_to_learn_and_sizes_below_one_are_refused(tmp_path: Path) -> None:
    frame = write(tmp_path, 100, groups=2)
    with pytest.raises(ConfigError, match="buffer_rows 0"):
        make(tmp_path, frame, buffer_rows=0)
    with pytest.raises(DataError, match="no positive event of a known item"):
        make(tmp_path, frame.with_columns(item_id=pl.col("item_id") + 1000))
