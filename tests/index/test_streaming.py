"""Search over batches: the same answers as over all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.index import Batch, BruteForce, Streaming

N, DIM = 400, 5
VECTORS = np.random.default_rng(0).integers(-2, 3, (N, DIM)).astype(np.float32)  # many ties
IDS = np.random.default_rng(1).permutation(10 * N)[:N]
ITEMS = pl.DataFrame({"even": IDS % 2 == 0})
QUERIES = np.random.default_rng(2).standard_normal((6, DIM)).astype(np.float32)
QUERIES[0] = [1, 1, 0, 0, 0]


def batches(cuts: list[int], *, strings: bool = False) -> Iterator[Batch]:
    for start, end in zip([0, *cuts], [*cuts, N], strict=True):
        ids = [f"i{id_}" for id_ in IDS[start:end]] if strings else IDS[start:end]
        yield Batch(ids, VECTORS[start:end], ITEMS[start:end])


@settings(max_examples=50, deadline=None)
@given(
    cuts=st.lists(st.integers(0, N), max_size=6).map(sorted),
    k=st.sampled_from([1, 7, 100, 1000]),
    metric=st.sampled_from(["dot", "cosine", "l2"]),
    excluded=st.booleans(),
    filtered=st.booleans(),
    strings=st.booleans(),
)
def test_batches_of_any_size_give_the_answer_of_the_index_in_memory(
    cuts: list[int], k: int, metric: Any, excluded: bool, filtered: bool, strings: bool
) -> None:
    ids = [f"i{id_}" for id_ in IDS] if strings else IDS.tolist()
    index = BruteForce(DIM, metric=metric).fit(ids, VECTORS, items=ITEMS)
    streaming = Streaming(lambda: batches(cuts, strings=strings), DIM, metric=metric)
    unknown = ["nobody"] if strings else [-5]
    exclude = [ids[i * 7 : i * 50] + unknown for i in range(len(QUERIES))] if excluded else None
    where = pl.col("even") if filtered else None
    expected = index.search(QUERIES, k, exclude=exclude, where=where)
    found = streaming.search(QUERIES, k, exclude=exclude, where=where)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_filter_can_be_a_function_of_the_ids_and_a_query_stand_alone() -> None:
    streaming = Streaming(lambda: ((b.ids, b.vectors) for b in batches([100])), DIM)
    ids, _ = streaming.search(QUERIES[1], 5, where=lambda ids: ids.to_numpy() % 3 == 0, exclude=[IDS[0]])
    assert ids.shape == (5,)
    assert (ids % 3 == 0).all()
    assert IDS[0] not in ids


def test_files_are_searched_without_reading_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shortlist.index.sources.BATCH_ROWS", 64)
    expected = BruteForce(DIM).fit(IDS, VECTORS).search(QUERIES, 20)
    np.save(tmp_path / "vectors.npy", VECTORS)
    from_npy = Streaming.from_npy(tmp_path / "vectors.npy", ids=IDS)
    table = pl.DataFrame({"item": IDS, "even": IDS % 2 == 0, "vector": VECTORS.tolist()})
    lists = table.with_columns(pl.col("vector").cast(pl.List(pl.Float32)))
    lists.write_parquet(tmp_path / "lists.parquet")
    table.with_columns(pl.col("vector").cast(pl.Array(pl.Float32, DIM))).write_ipc(tmp_path / "arrays.arrow")
    from_arrow = [
        Streaming.from_arrow(tmp_path / name, id_column="item", vector_column="vector")
        for name in ("lists.parquet", "arrays.arrow")
    ]
    for streaming in (from_npy, *from_arrow):
        found = streaming.search(QUERIES, 20)
        np.testing.assert_array_equal(found.ids, expected.ids)
    assert (from_arrow[0].search(QUERIES, 20, where=pl.col("even")).ids % 2 == 0).all()
    assert Streaming.from_npy(tmp_path / "vectors.npy").search(QUERIES, 1).ids.max() < N


def test_no_batches_give_no_results() -> None:
    found = Streaming(lambda: iter(()), DIM).search(QUERIES, 5)
    assert found.ids.shape == found.scores.shape == (6, 0)


def test_a_batch_that_does_not_fit_is_refused_by_its_number() -> None:
    def broken(ids: Any, vectors: Any) -> Streaming:
        return Streaming(lambda: [(IDS, VECTORS), (ids, vectors)], DIM)

    one = np.ones((1, DIM), np.float32)
    for ids, vectors, error, words in [
        ([1], one * np.nan, DataError, r"vector 0 holds a NaN.*\(batch 1\)"),
        ([1], one[:, :2], ShapeError, r"vectors must be .*\(batch 1\)"),
        ([1, 2], one, ShapeError, r"2 ids for 1 vectors \(batch 1\)"),
        (["a"], one, DataError, r"strings in one batch and integers in another \(batch 1\)"),
    ]:
        with pytest.raises(error, match=words):
            broken(ids, vectors).search(QUERIES, 3)
    with pytest.raises(DataError, match="excluded ids are String"):
        Streaming(lambda: batches([]), DIM).search(QUERIES[0], 3, exclude=["a"])
    with pytest.raises(ConfigError, match="no item table"):
        Streaming(lambda: [(IDS, VECTORS)], DIM).search(QUERIES, 3, where=pl.col("even"))


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.ones(3, np.float32))
    with pytest.raises(ShapeError, match=r"flat\.npy"):
        Streaming.from_npy(tmp_path / "flat.npy")
    np.save(tmp_path / "two.npy", np.ones((2, 3), np.float32))
    with pytest.raises(ShapeError, match="1 ids for 2 vectors"):
        Streaming.from_npy(tmp_path / "two.npy", ids=[1])
    path = tmp_path / "t.parquet"
    for table, words in [
        (pl.DataFrame({"item": [1], "vector": [[1.0]]}).clear(), "no rows"),
        (pl.DataFrame({"id": [1], "vector": [[1.0]]}), "no column 'item'"),
        (pl.DataFrame({"item": [1, 2], "vector": [[1.0], [1.0, 2.0]]}), "differ in length"),
    ]:
        table.write_parquet(path)
        with pytest.raises(DataError, match=words):
            Streaming.from_arrow(path, id_column="item", vector_column="vector")
