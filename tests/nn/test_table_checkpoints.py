"""Checkpoints of a dynamic table: what changed, on the disk before they are acknowledged."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nn.checkpoint_and_be_killed import MOMENTS
from nn.dynamic_cases import assert_same, train

import shortlist
from shortlist.errors import BundleError, ConfigError
from shortlist.nn import DynamicEmbedding, TableCheckpoints
from shortlist.training import Adagrad, LazyAdam

SCRIPT = Path(__file__).with_name("checkpoint_and_be_killed.py")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def restored(folder: Path, *, dim: int = 4, **options: Any) -> DynamicEmbedding:
    table = DynamicEmbedding(dim, **options)
    TableCheckpoints(folder).restore(table)
    return table


what = st.sampled_from(["train", "train", "evict", "put", "save", "save", "compact", "reopen", "reset"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(what, max_size=12), st.integers(1, 3), st.integers(0, 3), st.booleans())
def test_the_last_checkpoint_holds_what_the_table_held(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[str],
    admit_after: int,
    max_deltas: int,
    sketch: bool,
) -> None:
    options = {"admit_after": admit_after, "sketch_bytes": 512 if sketch else None}
    folder = tmp_path_factory.mktemp("checkpoints")
    table, checkpoints = DynamicEmbedding(4, **options), TableCheckpoints(folder, max_deltas=max_deltas)
    optimizer = Adagrad(table.parameters(), lr=0.1)
    for number, change in enumerate(["save", *changes, "save"]):
        if change == "train":
            train(table, optimizer, range(number, number + 1))
        elif change == "evict":
            table.evict(unseen_for=2)
        elif change == "put":
            table.put_rows(table.rows().head(3))
        elif change == "reset":
            table.reset_optimizer_state()
        elif change == "compact":
            checkpoints.compact()
        elif change == "reopen":
            checkpoints.save(table)
            table = restored(folder, **options)
            optimizer = Adagrad(table.parameters(), lr=0.1)
            checkpoints = TableCheckpoints(folder, max_deltas=max_deltas)
        else:
            checkpoints.save(table)
            assert_same(restored(folder, **options), table)


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    table, checkpoints = DynamicEmbedding(64), TableCheckpoints(tmp_path)
    optimizer = Adagrad(table.parameters())
    train(table, optimizer, range(300), span=20_000)
    sizes = [checkpoints.save(table).stat().st_size]
    for step in range(300, 303):
        train(table, optimizer, range(step, step + 1), span=20_000)
        table.evict(seen_fewer_than=1)
        sizes.append(checkpoints.save(table).stat().st_size)
    assert names(tmp_path) == [
        "base-00000000.rows",
        *(f"delta-{number:08d}.rows" for number in (1, 2, 3)),
    ]
    assert max(sizes[1:]) < sizes[0] / 20
    assert_same(restored(tmp_path, dim=64), table)
    merged = checkpoints.compact()
    assert names(tmp_path) == [merged.name] == ["base-00000003.rows"]
    train(table, optimizer, range(400, 401), span=20_000)
    assert checkpoints.save(table).name == "delta-00000004.rows"
    assert_same(restored(tmp_path, dim=64), table)


def test_after_so_many_changes_everything_is_written_again(tmp_path: Path) -> None:
    table, checkpoints = DynamicEmbedding(4), TableCheckpoints(tmp_path, max_deltas=2)
    optimizer = Adagrad(table.parameters())
    kinds = []
    for step in range(7):
        train(table, optimizer, range(step, step + 1))
        kinds.append(checkpoints.save(table).name.split("-")[0])
        assert len(names(tmp_path)) <= 3
    assert kinds == ["base", "delta", "delta", "base", "delta", "delta", "base"]


def test_training_goes_on_from_a_checkpoint_as_if_it_never_stopped(tmp_path: Path) -> None:
    table, checkpoints = DynamicEmbedding(4, admit_after=2), TableCheckpoints(tmp_path)
    optimizer = LazyAdam(table.parameters(), lr=0.1)
    for step in range(5):
        train(table, optimizer, range(step, step + 1))
        checkpoints.save(table)
    again = restored(tmp_path, admit_after=2)
    other = LazyAdam(again.parameters(), lr=0.1)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(table, optimizer, range(5, 9))
    train(again, other, range(5, 9))
    assert_same(again, table)


def test_no_row_is_lost_whenever_the_process_is_killed(tmp_path: Path) -> None:
    source, tests = Path(shortlist.__file__).parents[1], SCRIPT.parents[1]
    output = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "checkpoints")],
        env=os.environ | {"PYTHONPATH": f"{source}:{tests}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rounds = [json.loads(line) for line in output.splitlines()]
    assert [each["random"] for each in rounds].count(True) == MOMENTS
    assert len(rounds) > MOMENTS + 10
    assert [each["killed"] for each in rounds].count(False) == 1
    for each in rounds:
        # The table is that of the last checkpoint acknowledged, or of the one that was under way.
        saved = [line.split()[1] for line in each["said"] if line.startswith("saved")]
        saving = [line.split()[1] for line in each["said"] if line.startswith("saving")]
        before = [] if each["random"] and not saved else saved[-1:] or [""]
        assert not before or each["found"] in before + saving[-1:]
        assert each["found"] or not saved
    assert len({each["found"] for each in rounds}) > 5


def three(folder: Path) -> list[Path]:
    table, checkpoints = DynamicEmbedding(4), TableCheckpoints(folder)
    optimizer = Adagrad(table.parameters())
    files = []
    for step in range(3):
        train(table, optimizer, range(step, step + 1))
        files.append(checkpoints.save(table))
    return files


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.integers(0, 2), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_bit_is_noticed_and_the_table_stays_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, file: int, place: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = three(folder)[file]
    content = bytearray(path.read_bytes())
    content[min(int(place * len(content)), len(content) - 1)] ^= 1 << bit
    path.write_bytes(content)
    table = DynamicEmbedding(4)
    table(torch.tensor([77]))
    with pytest.raises(BundleError, match=path.name):
        TableCheckpoints(folder).restore(table)
    assert table.rows()["id"].to_list() == [77]


@pytest.mark.parametrize("keep", [0, 1, 100, 4096, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    path = three(tmp_path)[1]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleError, match=path.name):
        restored(tmp_path)


def test_a_file_that_is_missing_is_noticed(tmp_path: Path) -> None:
    files = three(tmp_path)
    files[1].unlink()
    with pytest.raises(BundleError, match="does not follow the file before it"):
        restored(tmp_path)
    files[0].unlink()
    with pytest.raises(BundleError, match="has no whole checkpoint before it"):
        restored(tmp_path)
    files[2].unlink()
    with pytest.raises(BundleError, match="there is no checkpoint"):
        restored(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from shortlist.nn.dynamic import checkpoints as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "KIND", replace(module.KIND, format=2))
        three(tmp_path)
    with pytest.raises(BundleError, match=r"format 2, this version reads 1 .*; upgrade shortlist"):
        restored(tmp_path)


def test_the_checkpoints_of_another_table_are_not_written_over(tmp_path: Path) -> None:
    three(tmp_path)
    before = names(tmp_path)
    with pytest.raises(ConfigError, match="holds the checkpoints of another table"):
        TableCheckpoints(tmp_path).save(DynamicEmbedding(4))
    assert names(tmp_path) == before


def test_a_table_of_other_arguments_is_refused(tmp_path: Path) -> None:
    three(tmp_path)
    with pytest.raises(ConfigError, match=r"is of DynamicEmbedding\(dim=4, .*seed=0"):
        restored(tmp_path, seed=1)


def test_folders_and_numbers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        TableCheckpoints(tmp_path / "file" / "folder")
    with pytest.raises(ConfigError, match="max_deltas is -1"):
        TableCheckpoints(tmp_path, max_deltas=-1)
    with pytest.raises(BundleError, match="there is no checkpoint"):
        TableCheckpoints(tmp_path).compact()
