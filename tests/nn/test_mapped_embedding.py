"""The form of a dynamic table that is only read: one file, mapped."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nn.dynamic_cases import train

from shortlist.errors import BundleError, ShapeError
from shortlist.nn import DynamicEmbedding, MappedEmbedding
from shortlist.training import Adagrad


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60), st.integers(1, 3), st.sampled_from([0, 1, 5]))
def test_it_answers_as_the_table_does_outside_training(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], admit_after: int, shared_rows: int
) -> None:
    table = DynamicEmbedding(3, admit_after=admit_after, shared_rows=shared_rows, seed=9)
    table(torch.tensor(ids + ids[:20] * 2, dtype=torch.int64))
    path = tmp_path_factory.mktemp("mapped") / "rows"
    table.save_mapped(path)
    mapped = MappedEmbedding(path, verify=True)
    asked = torch.tensor([*ids, *range(-20, 20)]).reshape(-1, 1)
    assert torch.equal(mapped(asked), table.eval()(asked))
    assert mapped.num_rows == table.num_rows


def trained(path: Path) -> DynamicEmbedding:
    table = DynamicEmbedding(16)
    train(table, Adagrad(table.parameters()), range(100), span=5000)
    table.save_mapped(path)
    return table


def test_it_opens_without_reading_the_rows(tmp_path: Path) -> None:
    table = DynamicEmbedding(64)
    table(torch.arange(100_000))
    table.save_mapped(tmp_path / "rows")
    assert (tmp_path / "rows").stat().st_size > 25_000_000
    times = []
    for _ in range(5):
        started = time.perf_counter()
        mapped = MappedEmbedding(tmp_path / "rows")
        times.append(time.perf_counter() - started)
    assert min(times) < 0.02
    assert torch.equal(mapped(torch.arange(99_000, 101_000)), table.eval()(torch.arange(99_000, 101_000)))


def test_a_model_that_holds_one_moves_and_copies(tmp_path: Path) -> None:
    table = trained(tmp_path / "rows").eval()
    model = torch.nn.Sequential(MappedEmbedding(tmp_path / "rows"), torch.nn.Linear(16, 2))
    ids = torch.arange(50).reshape(10, 5)
    assert copy.deepcopy(model)(ids).shape == (10, 5, 2)
    assert torch.equal(copy.deepcopy(model)[0](ids), table(ids))
    assert list(model.state_dict()) == ["1.weight", "1.bias"]
    assert f"rows={table.num_rows:,}" in repr(model)
    with pytest.raises(ShapeError, match="pass int64"):
        model(ids.float())


def test_writing_beside_a_reader_does_not_disturb_it(tmp_path: Path) -> None:
    table = trained(tmp_path / "rows").eval()
    mapped, ids = MappedEmbedding(tmp_path / "rows"), torch.arange(100)
    before = table(ids)
    train(table.train(), Adagrad(table.parameters(), lr=1.0), range(0))
    table.reset_optimizer_state()
    train(table, Adagrad(table.parameters(), lr=1.0), range(5), span=100)
    table.save_mapped(tmp_path / "rows")
    assert torch.equal(mapped(ids), before)
    assert not torch.equal(MappedEmbedding(tmp_path / "rows")(ids), before)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), start=st.sampled_from([0.0, 0.98]))
def test_damage_is_noticed_when_verified_and_never_leads_astray(
    tmp_path: Path, place: float, bit: int, start: float
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    if not good.exists():
        table = DynamicEmbedding(2, admit_after=2, shared_rows=2)
        table(torch.arange(60).repeat(2))
        table.save_mapped(good)
    content = bytearray(good.read_bytes())
    content[min(int((start + place * (1 - start)) * len(content)), len(content) - 1)] ^= 1 << bit
    bad.write_bytes(content)
    with pytest.raises(BundleError, match="bad"):
        MappedEmbedding(bad, verify=True)
    try:
        mapped = MappedEmbedding(bad)
    except BundleError:
        return
    assert mapped(torch.arange(-100, 100)).shape == (200, 2)


@pytest.mark.parametrize("keep", [0, 1, 4096, -4096, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "rows"
    trained(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleError, match="rows"):
        MappedEmbedding(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x" * 5000)
    with pytest.raises(BundleError, match="not a table of rows"):
        MappedEmbedding(tmp_path / "other")
    with pytest.raises(BundleError, match="cannot be read"):
        MappedEmbedding(tmp_path / "absent")
