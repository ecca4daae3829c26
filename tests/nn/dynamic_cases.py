"""What the tests of dynamic tables share."""

from __future__ import annotations

import torch
from torch.optim import Optimizer

from shortlist.nn import DynamicEmbedding


def train(table: DynamicEmbedding, optimizer: Optimizer, steps: range, *, span: int = 40) -> None:
    """Some steps whose ids and targets depend on their numbers alone.

    Args:
        table: in training mode.
        optimizer: of its parameter.
        steps: their numbers.
        span: number of ids.
    """
    for step in steps:
        optimizer.zero_grad()
        random = torch.Generator().manual_seed(step)
        ids = torch.randint(0, span, (30,), generator=random)
        (table(ids) - torch.randn(30, table.dim, generator=random)).square().sum().backward()
        optimizer.step()


def assert_same(one: DynamicEmbedding, other: DynamicEmbedding) -> None:
    """All that two tables hold is equal, bit for bit."""
    state, expected = one.state_dict(), other.state_dict()
    assert state.keys() == expected.keys()
    for name, value in state.items():
        assert value.shape == expected[name].shape, name
        assert value.numpy().tobytes() == expected[name].numpy().tobytes(), name
