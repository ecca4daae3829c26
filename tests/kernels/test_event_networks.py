"""Networks on single events by the native kernels, on every instruction set, against double precision."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from reference.event_networks import kept_units
from reference.event_networks import loss_and_gradients as slow
from torch import Tensor

from shortlist.errors import ConfigError
from shortlist.kernels.event_networks import (
    EventGradients,
    EventLoss,
    Events,
    Layers,
    Part,
    find_distinct,
    loss_and_gradients,
)
from shortlist.kernels.softmax import fastest_short_products

ANY_MACHINE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def parts_of(examples: int, shapes: list[tuple[int, int | None]], generator: torch.Generator) -> list[Part]:
    """Parts of some widths; where there is a count, rows that repeat."""
    return [
        Part(
            torch.randn(examples if count is None else count, width, generator=generator),
            None if count is None else torch.randint(0, count, (examples,), generator=generator),
        )
        for width, count in shapes
    ]


def layers_of(
    width: int, hidden: list[int], *, crosses: int = 1, biased: bool = True, generator: torch.Generator
) -> Layers:
    widths = [width] * (crosses + 1) + [*hidden, 1]
    weights = [
        torch.randn(after, before, generator=generator) / before**0.5 for before, after in pairwise(widths)
    ]
    biases = [torch.randn(len(weight), generator=generator) if biased else None for weight in weights]
    return Layers(weights, biases, crosses)


def events_of(examples: int, loss: EventLoss, generator: torch.Generator, **more: Any) -> Events:
    labels = torch.rand(examples, generator=generator)
    return Events(labels, torch.rand(examples, generator=generator) / examples, loss, **more)


def assert_close(found: EventGradients, expected: EventGradients) -> None:
    largest = float(flat(expected).abs().max())
    for some, wanted in zip(found, expected, strict=True):
        for one, other in zip(some, wanted, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                atol = 1e-5 * float(other.abs().max()) + 1e-6 * largest
                torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=atol)


def flat(gradients: EventGradients) -> Tensor:
    return torch.cat([each.flatten() for some in gradients for each in some if each is not None])


@pytest.mark.usefixtures("instructions")
@ANY_MACHINE
@given(
    examples=st.sampled_from([1, 7, 8, 95, 96, 97, 250, 800]),
    shapes=st.lists(
        st.tuples(st.sampled_from([1, 3, 16, 17, 50]), st.sampled_from([None, 1, 5, 40])),
        min_size=1,
        max_size=4,
    ),
    hidden=st.lists(st.sampled_from([1, 7, 16, 33, 64]), max_size=3),
    crosses=st.integers(1, 3),
    biased=st.booleans(),
    loss=st.sampled_from(["rating", "click"]),
    dropout=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 999),
)
def test_the_loss_and_the_gradients_are_those_in_double_precision(
    examples: int,
    shapes: list[tuple[int, int | None]],
    hidden: list[int],
    crosses: int,
    biased: bool,
    loss: EventLoss,
    dropout: float,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = parts_of(examples, shapes, generator)
    width = sum(each for each, _ in shapes)
    layers = layers_of(width, hidden, crosses=crosses, biased=biased, generator=generator)
    events = events_of(examples, loss, generator, start=0.5, dropout=dropout, seed=seed << 40)
    expected_loss, expected, nearest = slow(parts, layers, events)
    assume(nearest > 1e-4)  # rounding may turn such a unit on, and doubles such an error
    found_loss, found = loss_and_gradients(parts, layers, events, threads=1)
    assert float(found_loss) == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
    assert_close(found, expected)


def example(examples: int = 3000, **more: Any) -> tuple[list[Part], Layers, Events]:
    """A network large enough for several threads."""
    generator = torch.Generator().manual_seed(0)
    parts = parts_of(examples, [(64, 100), (16, None), (32, 50)], generator)
    layers = layers_of(112, [64, 64], crosses=2, generator=generator)
    return parts, layers, events_of(examples, "click", generator, **more)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_threads_change_no_more_than_the_rounding_and_the_same_number_nothing(dropout: float) -> None:
    given = example(dropout=dropout, seed=7)
    loss, once = loss_and_gradients(*given, threads=1)
    for threads in (2, 3, 7):
        more, gradients = loss_and_gradients(*given, threads=threads)
        again = loss_and_gradients(*given, threads=threads)
        assert torch.equal(again[0], more)
        assert torch.equal(flat(again[1]), flat(gradients))
        torch.testing.assert_close(more, loss, rtol=1e-6, atol=0)
        torch.testing.assert_close(flat(gradients), flat(once), rtol=1e-4, atol=1e-7)


@pytest.mark.skipif(
    fastest_short_products() != "avx512fp16", reason="the processor has no fast products of float16"
)
@ANY_MACHINE
@given(
    examples=st.sampled_from([97, 800]),
    shapes=st.lists(
        st.tuples(st.sampled_from([1, 3, 16, 50, 210]), st.sampled_from([None, 5, 40])),
        min_size=1,
        max_size=3,
    ),
    hidden=st.lists(st.sampled_from([7, 33, 64, 100]), max_size=3),
    crosses=st.integers(1, 2),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 999),
)
def test_short_products_are_near_the_long_ones_whatever_the_scale(
    examples: int,
    shapes: list[tuple[int, int | None]],
    hidden: list[int],
    crosses: int,
    scale: float,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = parts_of(examples, shapes, generator)
    width = sum(each for each, _ in shapes)
    layers = layers_of(width, hidden, crosses=crosses, generator=generator)
    last = layers.weights[-1] * scale
    layers = Layers([*layers.weights[:-1], last], layers.biases, crosses)
    events = events_of(examples, "rating", generator, start=-10 * scale)  # far from every label
    long, expected = loss_and_gradients(parts, layers, events)
    short, found = loss_and_gradients(parts, layers, events, products="avx512fp16")
    assert float(short) == pytest.approx(float(long), rel=0.05)
    for some, wanted in zip(found, expected, strict=True):
        for one, other in zip(some, wanted, strict=True):
            if one is not None:
                # Rounding turns a hidden unit near 0 on or off, which is much where there are few of them.
                assert float((one - other).norm()) <= 0.3 * float(other.norm()) + 1e-6


def test_rows_that_repeat_and_rows_of_each_example_give_the_same() -> None:
    parts, layers, events = example(500)
    loss, gradients = loss_and_gradients(parts, layers, events)
    spread = [Part(part.rows if part.index is None else part.rows[part.index]) for part in parts]
    same, each = loss_and_gradients(spread, layers, events)
    torch.testing.assert_close(same, loss)
    for part, together, apart in zip(parts, gradients.rows, each.rows, strict=True):
        if part.index is not None:
            apart = torch.zeros_like(together).index_add_(0, part.index, apart)
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradients.weights, each.weights, rtol=1e-4, atol=1e-6)


def test_units_that_are_off_for_whole_groups_of_examples_change_nothing() -> None:
    parts, layers, events = example(2000)
    for bias in layers.biases[2:-1]:
        assert bias is not None
        bias[::3] = -1000  # never on
    users = Part(parts[0].rows * 3, parts[0].index)  # and most depend on the user
    expected = slow([users, *parts[1:]], layers, events)
    loss, gradients = loss_and_gradients([users, *parts[1:]], layers, events)
    assert float(loss) == pytest.approx(expected[0], rel=1e-5)
    assert_close(gradients, expected[1])
    assert not gradients.weights[2][::3].any()
    assert gradients.weights[2][1::3].any()


def test_dropout_hides_its_share_of_the_units_and_others_with_another_seed() -> None:
    one, other = (kept_units(seed, 0, (500, 64), 0.3) for seed in (1, 2))
    assert float(one.float().mean()) == pytest.approx(0.7, abs=0.02)
    assert float((one == other).float().mean()) == pytest.approx(0.7**2 + 0.3**2, abs=0.02)
    losses = {float(loss_and_gradients(*example(500, dropout=0.3, seed=seed))[0]) for seed in range(5)}
    assert len(losses) == 5


def test_a_score_far_out_is_a_finite_loss_and_a_nan_stays_one() -> None:
    layers = Layers([torch.zeros(1, 1), torch.ones(1, 1)], [None, None], 1)
    rows = torch.tensor([[200.0], [-200.0]])
    loss, gradients = loss_and_gradients(
        [Part(rows)], layers, Events(torch.tensor([0.0, 1.0]), torch.ones(2), "click")
    )
    assert float(loss) == 400
    assert gradients.rows[0].flatten().tolist() == [1, -1]
    rows[0] = torch.nan
    for kind in ("click", "rating"):
        assert loss_and_gradients([Part(rows)], layers, Events(torch.zeros(2), torch.ones(2), kind))[
            0
        ].isnan()


@given(ids=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9), max_size=300))
@settings(deadline=None)
def test_distinct_ids_are_told_apart_in_their_order(ids: list[int]) -> None:
    found = find_distinct(torch.tensor(ids, dtype=torch.int64))
    different = list(dict.fromkeys(ids))
    assert found.rows.tolist() == [ids.index(each) for each in different]
    assert [different[each] for each in found.index.tolist()] == ids


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": [Part(torch.ones(2, 3), torch.tensor([0, 2]))]}, "names no row of its part"),
        ({"parts": [Part(torch.ones(2, 3), torch.tensor([0, -1]))]}, "names no row of its part"),
        ({"parts": [Part(torch.ones(2, 3), torch.tensor([0]))]}, r"an index must be \[examples\]"),
        ({"parts": [Part(torch.ones(3, 3))]}, "a row for each example"),
        ({"parts": [Part(torch.ones(2, 2))]}, "as wide as the network's input"),
        ({"weights": [torch.ones(3, 3), torch.ones(2, 3)]}, "the output is one number"),
        ({"weights": [torch.ones(3, 3), torch.ones(1, 4)]}, "reads what the one before it makes"),
        ({"weights": [torch.ones(2, 3), torch.ones(1, 2)]}, "a cross is as wide as a row"),
        ({"biases": [torch.ones(2), None]}, "as wide as its layer's output"),
        ({"crosses": 0}, "there are a cross and an output"),
        ({"crosses": 2}, "there are a cross and an output"),
        ({"loss_weights": torch.ones(3)}, "a weight for each label"),
        ({"dropout": 1.0}, "a share below 1"),
    ],
)
def test_the_kernel_refuses_what_would_read_beyond_an_array(change: dict[str, Any], message: str) -> None:
    weights = change.get("weights", [torch.ones(3, 3), torch.ones(1, 3)])
    layers = Layers(weights, change.get("biases", [None, None]), change.get("crosses", 1))
    events = Events(
        torch.ones(2), change.get("loss_weights", torch.ones(2)), "click", dropout=change.get("dropout", 0.0)
    )
    with pytest.raises(ValueError, match=message):
        loss_and_gradients(change.get("parts", [Part(torch.ones(2, 3))]), layers, events)


def test_less_than_one_thread_is_refused() -> None:
    with pytest.raises(ConfigError, match="threads is 0"):
        loss_and_gradients(*example(10), threads=0)
