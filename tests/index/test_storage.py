"""One file: whole or absent, checked to the last byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shortlist.errors import BundleError
from shortlist.index import BruteForce


def some_index(n: int = 300, *, strings: bool = False) -> BruteForce:
    vectors = np.random.default_rng(n).standard_normal((n, 6)).astype(np.float32)
    ids = [f"é{i}" for i in range(n)] if strings else np.arange(n) * 3
    return BruteForce(6, metric="l2").fit(ids, vectors, items=pl.DataFrame({"even": np.arange(n) % 2 == 0}))


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("n", [0, 1, 300])
def test_a_loaded_index_is_the_saved_one(tmp_path: Path, n: int, strings: bool) -> None:
    index = some_index(n, strings=strings)
    index.save(tmp_path / "index")
    loaded = BruteForce.load(tmp_path / "index", threads=1)
    assert (loaded.dim, loaded.metric, len(loaded)) == (6, "l2", n)
    queries = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    for where in (None, pl.col("even")):
        a, b = index.search(queries, 20, where=where), loaded.search(queries, 20, where=where)
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.scores, b.scores)


def test_a_loaded_index_can_be_changed_and_saved_over_its_own_file(tmp_path: Path) -> None:
    some_index().save(tmp_path / "index")
    index = BruteForce.load(tmp_path / "index")
    index.remove([0, 3])
    index.add([1], np.ones((1, 6), np.float32), items=pl.DataFrame({"even": [True]}))
    index.save(tmp_path / "index")
    again = BruteForce.load(tmp_path / "index")
    np.testing.assert_array_equal(again.ids, index.ids)
    assert (
        index.search(np.ones(6, np.float32), 1).ids[0] == again.search(np.ones(6, np.float32), 1).ids[0] == 1
    )
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_flipped_bit_anywhere_is_refused_with_the_file_named(tmp_path: Path) -> None:
    path = tmp_path / "my.index"
    some_index(70).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, 16, 24, 60, len(whole) - 1, *rng.integers(0, len(whole), 150).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"my\.index"):
            BruteForce.load(path)


@pytest.mark.parametrize("length", [0, 10, 56, 4096, -4096, -1])
def test_a_file_cut_off_or_grown_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "my.index"
    some_index(70).save(path)
    whole = path.read_bytes()
    for content in (whole[:length], whole + bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(BundleError, match=r"my\.index"):
            BruteForce.load(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(BundleError, match="cannot be read"):
            BruteForce.load(path)


def test_a_file_of_a_newer_format_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shortlist.index.sections.FORMAT", 4)
        some_index(3).save(tmp_path / "index")
    with pytest.raises(BundleError, match=r"format 4, this version reads 3.*upgrade"):
        BruteForce.load(tmp_path / "index")


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_index(5).save(tmp_path / "index")
    before = (tmp_path / "index").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        some_index(9).save(tmp_path / "index")
    assert (tmp_path / "index").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_save_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "index"
    some_index(5).save(path)
    script = f"""
        import numpy as np
        from shortlist.index import BruteForce
        index = BruteForce(64).fit(np.arange(20_000), np.ones((20_000, 64), np.float32))
        print("ready", flush=True)
        while True:
            index.save({str(path)!r})
    """
    for wait in (0.0, 0.02):
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        assert len(BruteForce.load(path)) in (5, 20_000)
