"""The native networks, on every instruction set, against the same layers in double precision."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from shortlist.errors import ShapeError
from shortlist.kernels.networks import Network, Step, network_scores


def slow_scores(steps: list[Step], rows: Tensor) -> Tensor:
    base = found = rows.double()
    for step in steps:
        product = found @ step.weight.T.double()
        product = product if step.bias is None else product + step.bias
        if step.kind == "cross":
            found = base * product + found
        else:
            found = product.clamp(min=0) if step.kind == "hidden" else product
    return found[:, 0]


def layers(widths: list[int], crosses: int, *, biased: bool, generator: torch.Generator) -> list[Step]:
    def step(kind: Any, inputs: int, outputs: int) -> Step:
        weight = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
        return Step(kind, weight, torch.randn(outputs, generator=generator) if biased else None)

    steps = [step("cross", widths[0], widths[0]) for _ in range(crosses)]
    steps += [step("hidden", *pair) for pair in pairwise(widths)]
    return [*steps, step("output", widths[-1], 1)]


@pytest.mark.usefixtures("instructions")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20)),
    hidden=st.lists(st.sampled_from([1, 7, 16, 33, 64]), max_size=3),
    lengths=st.lists(st.sampled_from([0, 1, 5, 31, 32, 33, 100]), min_size=1, max_size=4),
    crosses=st.integers(0, 3),
    biased=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_kernels_are_the_layers_in_double_precision(
    parts: tuple[int, int, int],
    hidden: list[int],
    lengths: list[int],
    crosses: int,
    biased: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = layers([sum(parts), *hidden], crosses, biased=biased, generator=generator)
    total, num_items = sum(lengths), 9
    query, table, own = (
        torch.randn(rows, width, generator=generator)
        for rows, width in zip((len(lengths), num_items, total), parts, strict=True)
    )
    items = torch.randint(0, num_items, (total,), generator=generator)
    requests = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    offsets = torch.tensor([0, *np.cumsum(lengths)])
    found = network_scores(
        Network.of(sum(parts), steps), offsets, query=query, table=table, items=items, own=own, threads=1
    )
    expected = slow_scores(steps, torch.cat([query[requests], table[items], own], dim=1))
    scale = 1 + float(expected.abs().max() if total else 0)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5 * scale)


def test_more_threads_and_other_neighbours_give_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    network = Network.of(40, layers([40, 64], 2, biased=True, generator=generator))
    own = torch.randn(20_000, 40, generator=generator)

    def scores(rows: Tensor, threads: int) -> Tensor:
        return network_scores(
            network,
            torch.tensor([0, len(rows)]),
            query=torch.empty(1, 0),
            table=torch.empty(1, 0),
            items=torch.zeros(len(rows), dtype=torch.int64),
            own=rows,
            threads=threads,
        )

    once = scores(own, 1)
    assert torch.equal(scores(own, 3), once)
    assert torch.equal(scores(own[7:300], 1), once[7:300])


@pytest.mark.parametrize(
    "steps",
    [
        [Step("hidden", torch.ones(4, 3))],
        [Step("output", torch.ones(2, 3))],
        [Step("cross", torch.ones(4, 3)), Step("output", torch.ones(1, 4))],
        [Step("output", torch.ones(1, 3)), Step("output", torch.ones(1, 1))],
    ],
)
def test_layers_that_do_not_fit_together_are_refused(steps: list[Step]) -> None:
    with pytest.raises(ShapeError, match="an output of one number comes last"):
        Network.of(3, steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": torch.tensor([0, 5])}, "an item is no row of the table"),
        ({"items": torch.tensor([0, -1])}, "an item is no row of the table"),
        ({"offsets": torch.tensor([0, 1])}, "offsets go from 0 to the number of rows"),
        ({"query": torch.ones(2, 1)}, r"query must be \[requests, width\]"),
        ({"own": torch.ones(1, 1)}, r"own must be \[rows, width\]"),
        ({"own": torch.ones(2, 2)}, "as wide as the network's input"),
    ],
)
def test_the_kernel_refuses_what_would_read_beyond_an_array(change: dict[str, Any], message: str) -> None:
    given = {
        "offsets": torch.tensor([0, 2]),
        "query": torch.ones(1, 1),
        "table": torch.ones(5, 1),
        "items": torch.tensor([0, 4]),
        "own": torch.ones(2, 1),
    } | change
    network = Network.of(3, [Step("output", torch.ones(1, 3))])
    with pytest.raises(ValueError, match=message):
        network_scores(network, given.pop("offsets"), **given)


@pytest.mark.parametrize(
    ("kinds", "widths", "size", "message"),
    [
        ([1], [3, 4], 99, "the output is the last step"),
        ([7], [3, 1], 99, "no step has that number"),
        ([2], [3, 1], 16, "fewer weights"),
        ([2], [3], 99, "one width more"),
        ([2], [3, 2], 99, "the output is one number"),
        ([0, 2], [3, 4, 1], 999, "a cross is as wide as a row"),
        ([2], [0, 1], 99, "out of range"),
    ],
)
def test_the_kernel_refuses_packed_layers_that_are_not_whole(
    kinds: list[int], widths: list[int], size: int, message: str
) -> None:
    network = Network(torch.tensor(kinds), torch.tensor(widths), torch.ones(size))
    with pytest.raises(ValueError, match=message):
        network_scores(
            network,
            torch.tensor([0, 1]),
            query=torch.empty(1, 0),
            table=torch.empty(1, 0),
            items=torch.zeros(1, dtype=torch.int64),
            own=torch.ones(1, 3),
        )
