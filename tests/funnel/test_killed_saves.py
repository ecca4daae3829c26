"""A real process that is killed in the middle of a save: the old bundle or none, never half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from funnel_cases import plain

import shortlist
from shortlist.errors import BundleError
from shortlist.funnel import Funnel

SAVES_FOR_EVER = """
import os, sys, time
from pathlib import Path
import polars as pl
from shortlist.data import Dataset, Schema, sealed_folder
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Popular

path, function, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
table = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 3]})
funnel = Funnel(retrieve=[Popular()], data=Dataset(table, Schema()))
funnel.save(path)
funnel.size = 7
place = os if function == "replace" else sealed_folder
real, calls = getattr(place, function), 0

def stop_here(*arguments):
    global calls
    calls += 1
    if calls == count:
        print("now", flush=True)
        time.sleep(60)
    return real(*arguments)

setattr(place, function, stop_here)
funnel.save(path)
"""


@pytest.mark.parametrize(
    ("function", "count"),
    [("_sha256", 2), ("_move_into_place", 1)],
    ids=["while it is sealed", "before it is moved"],
)
def test_a_process_that_is_killed_while_it_saves_leaves_the_old_bundle(
    function: str, count: int, tmp_path: Path
):
    path = tmp_path / "bundle"
    kill_when_it_stops(path, function, count)
    loaded = Funnel.load(path)
    assert loaded.size == 12
    assert loaded.recommend(1).items == [3]
    loaded.size = 9
    loaded.save(path)  # what the dead one left is in nobody's way
    assert Funnel.load(path).size == 9


def test_a_process_that_is_killed_between_its_two_renames_leaves_no_bundle(tmp_path: Path):
    path = tmp_path / "bundle"
    kill_when_it_stops(path, "replace", 2)
    with pytest.raises(BundleError, match="there is no manifest"):
        Funnel.load(path)
    plain().save(path)
    assert Funnel.load(path).size == 6


def kill_when_it_stops(path: Path, function: str, count: int) -> None:
    """Start a process that saves twice, and kill it where the second save reaches a function."""
    arguments = [sys.executable, "-c", SAVES_FOR_EVER, str(path), function, str(count)]
    source = str(Path(shortlist.__file__).parent.parent)
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
