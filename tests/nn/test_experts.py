"""Experts and gates: sums of one, who sees whom, and the formulas one row at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.errors import ConfigError
from shortlist.nn import PLE, MMoE

INPUTS = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


@settings(max_examples=12, deadline=None)
@given(tasks=st.integers(1, 4), experts=st.integers(1, 5), scale=st.sampled_from([0.0, 1.0, 1e3]))
def test_gates_are_shares_of_the_experts(tasks, experts, scale):
    shares = MMoE(5, (4,), tasks=tasks, experts=experts).gate_weights(scale * INPUTS)
    assert shares.shape == (7, tasks, experts)
    assert bool((shares >= 0).all())
    torch.testing.assert_close(shares.sum(2), torch.ones(7, tasks))


@settings(max_examples=12, deadline=None)
@given(tasks=st.integers(1, 3), own=st.integers(1, 3), shared=st.integers(1, 3), levels=st.integers(1, 3))
def test_gates_of_every_level_are_shares_of_what_they_may_see(tasks, own, shared, levels):
    layers = PLE(5, (6, 4), tasks=tasks, task_experts=own, shared_experts=shared, levels=levels)
    assert layers(INPUTS).shape == (7, tasks, 4)
    shares = layers.gate_weights(INPUTS)
    assert len(shares) == levels
    for number, level in enumerate(shares):
        last = number == levels - 1
        widths = [own + shared] * tasks + ([] if last else [own * tasks + shared])
        assert [each.shape for each in level] == [(7, width) for width in widths]
        for each in level:
            torch.testing.assert_close(each.sum(1), torch.ones(7))


def test_a_task_gets_the_experts_in_the_shares_of_its_gate():
    layers = MMoE(5, (6, 4), tasks=2, experts=3)
    found = layers(INPUTS)
    for row, given_row in enumerate(INPUTS):
        for task, gate in enumerate(layers.gates):
            shares = torch.softmax(gate(given_row), 0)
            expected = sum(shares[e] * expert(given_row) for e, expert in enumerate(layers.experts))
            torch.testing.assert_close(found[row, task], expected)


def test_one_level_of_ple_is_customised_gate_control():
    layers = PLE(5, (4,), tasks=2, task_experts=1, shared_experts=2, levels=1)
    level = layers.levels[0]
    found = layers(INPUTS)
    for task in range(2):
        experts = [*level.experts[task], *level.experts[2]]
        shares = torch.softmax(level.gates[task](INPUTS), 1)
        expected = sum(shares[:, [e]] * expert(INPUTS) for e, expert in enumerate(experts))
        torch.testing.assert_close(found[:, task], expected)


def moved(layers: MMoE | PLE, task: int) -> set[str]:
    layers.zero_grad()
    layers(INPUTS)[:, task].square().sum().backward()
    return {name for name, each in layers.named_parameters() if each.grad is not None and each.grad.any()}


def test_a_task_never_moves_the_experts_that_are_anothers_in_the_last_level():
    torch.manual_seed(0)
    layers = PLE(5, (8,), tasks=2, levels=2)
    for task in range(2):
        names = moved(layers, task)
        assert any(name.startswith(f"levels.1.experts.{task}") for name in names)
        assert any(name.startswith("levels.1.experts.2") for name in names)
        assert not any(name.startswith(f"levels.1.experts.{1 - task}") for name in names)
        assert any(name.startswith(f"levels.0.experts.{1 - task}") for name in names)  # by the shared gate


@pytest.mark.parametrize("kind", [MMoE, PLE])
def test_shared_parameters_are_those_that_every_task_moves(kind):
    torch.manual_seed(0)
    layers = kind(5, (8,), tasks=2)
    names = {id(each): name for name, each in layers.named_parameters()}
    shared = {names[id(each)] for each in layers.shared_parameters()}
    weights = {name for name in moved(layers, 0) & moved(layers, 1) if name.endswith("weight")}
    assert {name for name in shared if name.endswith("weight")} == weights


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MMoE(5, (4,), tasks=0), "tasks must be a whole number from 1, got 0"),
        (lambda: MMoE(5, (4,), tasks=2, experts=0), "experts must be"),
        (lambda: PLE(5, (4,), tasks=2, levels=0), "levels must be"),
        (lambda: PLE(5, (4,), tasks=2, shared_experts=1.5), "shared_experts must be"),
        (lambda: MMoE(5, (), tasks=2), "at least one unit"),
        (lambda: MMoE(5, (4,), tasks=2, dropout=1.0), "dropout is 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
