"""Rows that memory has no room for lie in a file, and nothing else changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nn.dynamic_cases import assert_same, train

from shortlist.errors import ConfigError
from shortlist.nn import DynamicEmbedding, TableCheckpoints
from shortlist.training import Adagrad, LazyAdam, RowwiseAdagrad

MAKERS = {"adagrad": Adagrad, "rowwise_adagrad": RowwiseAdagrad, "adam": LazyAdam}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["train", "evict", "put", "copy", "late", "reset"]), max_size=12),
    st.sampled_from(list(MAKERS)),
    st.integers(1, 2),
    st.integers(1, 30),
)
def test_a_table_that_spills_holds_what_one_in_memory_holds(
    tmp_path: Path, changes: list[str], kind: str, admit_after: int, room: int
) -> None:
    memory = DynamicEmbedding(4, admit_after=admit_after)
    spills = DynamicEmbedding(4, admit_after=admit_after, memory_bytes=room * 48, spill_folder=tmp_path)
    optimizers = [MAKERS[kind](table.parameters(), lr=0.1) for table in (memory, spills)]
    for number, change in enumerate(["train", *changes, "train"]):
        for table, optimizer in zip((memory, spills), optimizers, strict=True):
            if change == "train":
                train(table, optimizer, range(number, number + 1))
            elif change == "evict":
                table.evict(unseen_for=3)
            elif change == "put":
                table.put_rows(table.rows().tail(5))
            elif change == "reset":
                table.reset_optimizer_state()
            elif change == "late":  # the gradient comes back when other rows have been looked up since
                rows = table(torch.arange(8))
                train(table, optimizer, range(50, 52))
                rows.sum().backward()
                optimizer.step()
            else:
                assert_same(copy.deepcopy(table), table)
        assert_same(spills, memory)
        ids = torch.arange(-3, 45)
        assert torch.equal(copy.deepcopy(spills).eval()(ids), copy.deepcopy(memory).eval()(ids))


def test_memory_stays_within_the_budget(tmp_path: Path) -> None:
    budget = 2_000_000
    table = DynamicEmbedding(64, memory_bytes=budget, spill_folder=tmp_path)
    optimizer = Adagrad(table.parameters())
    for start in range(0, 40_000, 500):
        optimizer.zero_grad()
        table(torch.arange(start, start + 500)).sum().backward()
        optimizer.step()
    row = 4 * 2 * 64 + 16
    assert table.num_rows == 40_000
    assert (table.num_rows - table.num_spilled) * row <= budget
    assert table.num_spilled > 35_000
    index = 40_000 * (16 + 32)  # ids and what is known of rows stay in memory
    assert table.num_bytes < budget + 1000 * row + index
    assert not any(tmp_path.iterdir())  # the file has no name, so nothing stays behind
    first = table.num_spilled
    table(torch.arange(100))
    assert table.num_spilled == first - 100


def test_checkpoints_hold_the_rows_that_were_spilled(tmp_path: Path) -> None:
    options: dict[str, Any] = {"memory_bytes": 1000, "spill_folder": tmp_path}
    (tmp_path / "checkpoints").mkdir()
    table, checkpoints = DynamicEmbedding(4, **options), TableCheckpoints(tmp_path / "checkpoints")
    optimizer = Adagrad(table.parameters())
    for step in range(4):
        train(table, optimizer, range(step, step + 1))
        checkpoints.save(table)
        for other in (DynamicEmbedding(4), DynamicEmbedding(4, **options)):
            checkpoints.restore(other)
            assert_same(other, table)
        assert other.num_spilled > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_bytes": 1000}, "come together"),
        ({"spill_folder": "."}, "come together"),
        ({"memory_bytes": 1000, "spill_folder": "no/such/folder"}, "is no folder"),
        ({"memory_bytes": 0, "spill_folder": "."}, "memory_bytes is 0"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DynamicEmbedding(4, **options)


def test_a_folder_that_cannot_be_written_to_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "spilled"
    folder.mkdir()
    table = DynamicEmbedding(4, memory_bytes=400, spill_folder=folder)
    twin = DynamicEmbedding(4)
    folder.rmdir()
    with pytest.raises(ConfigError, match="no file of spilled rows can be made"):
        train(table, Adagrad(table.parameters()), range(1))
    train(twin, Adagrad(twin.parameters()), range(1))
    assert_same(table, twin)
