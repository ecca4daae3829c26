"""An approximate index on disk: what comes back is what was saved, and a damaged file never does."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.errors import BundleError
from shortlist.index import Approximate, BruteForce

DIM = 7


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves already for some hundred vectors, so that the files are small."""
    monkeypatch.setattr("shortlist.index.leaves.FLAT_ROWS", 200)


def vectors_of(n: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    lengths = rng.lognormal(0, 0.5, (n, 1))
    return np.asarray(rng.standard_normal((n, DIM)) * lengths, np.float32)


def table_of(n: int) -> pl.DataFrame:
    return pl.DataFrame({"even": np.arange(n) % 2 == 0, "name": [f"ü{i}" for i in range(n)]})


def built(n: int = 600, *, strings: bool = False, items: bool = False, **options: Any) -> Approximate:
    ids = [f"é{i}" for i in range(n)] if strings else np.arange(n) * 3
    return Approximate(DIM, **options).fit(ids, vectors_of(n), items=table_of(n) if items else None)


def assert_same(a: Approximate, b: Approximate, **options: Any) -> None:
    """Equal to the bit in all that can be asked."""
    assert (a.dim, a.metric, a.recall, len(a)) == (b.dim, b.metric, b.recall, len(b))
    assert a.ids.tolist() == b.ids.tolist()
    assert a.curve() == b.curve()
    assert a.memory() == b.memory()
    queries = vectors_of(5, seed=1)
    exclude = [a.ids[:9].tolist()] + [[]] * 4 if len(a) else None
    for k, excluded in ((1, None), (20, None), (20, exclude)):
        left, right = (index.search(queries, k, exclude=excluded, **options) for index in (a, b))
        np.testing.assert_array_equal(left.ids, right.ids)
        np.testing.assert_array_equal(left.scores, right.scores)
        assert left.ids.dtype == right.ids.dtype


@pytest.mark.parametrize("n", [0, 1, 150, 600])
@pytest.mark.parametrize(
    "options",
    [
        {"metric": "dot"},
        {"metric": "cosine", "recall": 0.8},
        {"metric": "l2"},
        {"metric": "dot", "compact": True, "seed": 3},
        {"metric": "l2", "compact": True},
        {"strings": True},
        {"items": True},
    ],
    ids=str,
)
def test_a_loaded_index_is_the_saved_one_to_the_bit(tmp_path: Path, n: int, options: dict[str, Any]) -> None:
    index = built(n, **options)
    index.save(tmp_path / "index")
    loaded = Approximate.load(tmp_path / "index", threads=1)
    assert_same(index, loaded)
    if options.get("items"):
        assert_same(index, loaded, where=pl.col("even"))
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "index").read_bytes()


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("metric", ["dot", "cosine", "l2"])
def test_what_was_added_updated_and_removed_is_saved_too(tmp_path: Path, metric: Any, compact: bool) -> None:
    index = built(metric=metric, compact=compact, items=True)
    exact = BruteForce(DIM, metric=metric).fit(np.arange(600) * 3, vectors_of(600), items=table_of(600))
    for each in (index, exact):
        each.remove(np.arange(100) * 3)
        each.add(np.arange(50) * 3 + 1, vectors_of(50, seed=2), items=table_of(50))
        each.add([30], vectors_of(1, seed=3), items=table_of(1))
        each.update(np.arange(200, 260) * 3, vectors_of(60, seed=4))
    index.save(tmp_path / "index")
    loaded = Approximate.load(tmp_path / "index")
    assert loaded.ids.tolist() == exact.ids.tolist()
    queries = vectors_of(20, seed=5)
    for where in (None, pl.col("even")):
        found, best = (
            loaded.search(queries, 10, where=where, effort=10_000),
            exact.search(queries, 10, where=where),
        )
        if not compact:  # whose scores are estimates
            np.testing.assert_array_equal(found.ids, best.ids)
        np.testing.assert_allclose(found.scores, best.scores, rtol=0.05, atol=0.1)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "index").read_bytes()


def test_a_loaded_index_can_be_changed_and_saved_over_its_own_file_and_elsewhere(tmp_path: Path) -> None:
    built(items=True).save(tmp_path / "index")
    index = Approximate.load(tmp_path / "index")
    index.remove([0, 3])
    index.add([1], 9 * np.ones((1, DIM), np.float32), items=table_of(1))
    index.update([6], 8 * np.ones((1, DIM), np.float32))
    for name in ("other", "index"):
        index.save(tmp_path / name)
        again = Approximate.load(tmp_path / name)
        assert again.ids.tolist() == index.ids.tolist()
        assert again.search(np.ones(DIM, np.float32), 2).ids.tolist() == [1, 6]
        assert again.search(np.ones(DIM, np.float32), 1, where=pl.col("name") == "ü2").ids.tolist() == [6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "other"]
    assert index.search(np.ones(DIM, np.float32), 2).ids.tolist() == [1, 6]  # its old file is gone


@pytest.mark.parametrize("compact", [False, True])
def test_an_index_that_grew_into_leaves_or_shrank_out_of_them_can_be_loaded(
    tmp_path: Path, compact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = built(150, compact=compact)
    grown.add(np.arange(300) + 10_000, vectors_of(300, seed=1))
    monkeypatch.setattr("shortlist.index.joiner.FRESH_ROWS", 50)
    shrunk = built(600, compact=compact)
    shrunk.remove(np.arange(500) * 3)
    for seed in range(5):
        shrunk.update(np.arange(500, 600) * 3, vectors_of(100, seed=seed))
    shrunk.settle()
    for index, count in ((grown, 450), (shrunk, 100)):
        index.save(tmp_path / "index")
        loaded = Approximate.load(tmp_path / "index")
        found, everything = loaded.search(vectors_of(20), 10), index.search(vectors_of(20), 10, effort=10_000)
        assert len(loaded) == count
        hits = sum(len(set(a) & set(b)) for a, b in zip(found.ids, everything.ids, strict=True))
        assert hits >= 0.9 * 200
        assert (len(loaded.curve()) > 1) == (count > 200)


def test_an_index_that_lost_all_its_items_can_be_loaded_and_filled_again(tmp_path: Path) -> None:
    index = built()
    index.remove(index.ids)
    index.save(tmp_path / "index")
    loaded = Approximate.load(tmp_path / "index")
    assert len(loaded) == 0
    assert loaded.search(vectors_of(2), 5).ids.shape == (2, 0)
    loaded.add([7], vectors_of(1))
    assert loaded.search(vectors_of(1), 5).ids.tolist() == [[7]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file with every kind of section."""
    path = tmp_path_factory.mktemp("saved") / "my.index"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shortlist.index.leaves.FLAT_ROWS", 200)
        built(220, metric="l2", items=True).save(path)
    return path


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused_with_the_file_named(saved: Path, data: st.DataObject) -> None:
    damaged = bytearray(saved.read_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1), "byte")] ^= 1 << data.draw(st.integers(0, 7), "bit")
    path = saved.with_name("flipped.index")
    path.write_bytes(damaged)
    with pytest.raises(BundleError, match=r"flipped\.index"):
        Approximate.load(path)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_file_cut_off_or_grown_is_refused_with_the_file_named(saved: Path, data: st.DataObject) -> None:
    whole = saved.read_bytes()
    length = data.draw(st.integers(0, len(whole) - 1) | st.sampled_from(range(0, len(whole), 4096)), "length")
    path = saved.with_name("cut.index")
    for content in (whole[:length], whole + whole[:length] if length else whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(BundleError, match=r"cut\.index"):
            Approximate.load(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(BundleError, match="cannot be read"):
            Approximate.load(path)


def test_a_file_of_the_other_index_says_who_reads_it(saved: Path, tmp_path: Path) -> None:
    BruteForce(DIM).fit(np.arange(9), vectors_of(9)).save(tmp_path / "exact.index")
    with pytest.raises(BundleError, match=r"kind 'exact', Approximate reads 'leaves' .*exact\.index.*class"):
        Approximate.load(tmp_path / "exact.index")
    with pytest.raises(BundleError, match=r"kind 'leaves', BruteForce reads 'exact' .*my\.index.*class"):
        BruteForce.load(saved)


@pytest.mark.parametrize(("format_", "remedy"), [(4, "upgrade shortlist"), (2, "save the index again")])
def test_a_file_of_another_format_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: int, remedy: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shortlist.index.sections.FORMAT", format_)
        built(30).save(tmp_path / "index")
    with pytest.raises(BundleError, match=rf"format {format_}, this version reads 3.*{remedy}"):
        Approximate.load(tmp_path / "index")


def test_a_save_that_is_killed_leaves_the_old_file_or_the_new_one_and_no_half_one(tmp_path: Path) -> None:
    old, fresh = tmp_path / "old", tmp_path / "fresh"
    built(5).save(old)
    script = f"""
        import pathlib
        import numpy as np
        from shortlist.index import Approximate
        index = Approximate({DIM}).fit(np.arange(4000), np.ones((4000, {DIM}), np.float32))
        print("ready", flush=True)
        while True:
            index.save({str(old)!r})
            index.save({str(fresh)!r})
            pathlib.Path({str(fresh)!r}).unlink()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(float(np.random.default_rng().uniform(0, 0.1)))
        process.send_signal(signal.SIGKILL)
    assert len(Approximate.load(old)) in (5, 4000)
    assert not fresh.exists() or len(Approximate.load(fresh)) == 4000
