"""The native losses over lists, on every instruction set, against the same losses in double precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from shortlist import _native, losses
from shortlist.data.ragged import Ragged
from shortlist.errors import DataError
from shortlist.kernels import lists as kernels
from shortlist.losses import DCGWeight

LOSSES: dict[str, Callable[..., losses.ListLosses]] = {
    "softmax": losses.softmax,
    "XE-NDCG": losses.xe_ndcg,
    "calibrated": partial(losses.calibrated_softmax, virtual_label=0.3),
    "logistic": losses.pairwise_logistic,
    "LambdaLoss": partial(losses.pairwise_logistic, lambda_weight=DCGWeight()),
    "LambdaLoss cut": partial(losses.pairwise_logistic, lambda_weight=DCGWeight(top_n=4)),
    "LambdaLoss@4": partial(losses.pairwise_logistic, lambda_weight=DCGWeight(top_n=4, correct_top_n=True)),
    "LambdaRank": partial(losses.pairwise_logistic, lambda_weight=DCGWeight(top_n=6, smooth_fraction=1.0)),
    "half of each": partial(
        losses.pairwise_logistic,
        lambda_weight=DCGWeight(
            gain=losses.linear_gain,
            discount=losses.reciprocal_discount,
            normalized=False,
            smooth_fraction=0.5,
        ),
    ),
    "Yeti": losses.yeti_logistic,
    "ApproxNDCG": losses.approx_ndcg,
    "ApproxMRR": partial(losses.approx_mrr, temperature=1.0),
}


def run(
    name: str, values: Tensor, lengths: Tensor, labels: Tensor, weights: Tensor | None
) -> tuple[losses.ListLosses, Tensor]:
    options: dict[str, Any] = {}
    if name in ("Yeti", "XE-NDCG"):
        drawn = torch.rand(2, len(values), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        options["noise"] = drawn if name == "Yeti" else drawn[0]
    scores = values.clone().requires_grad_()
    lists = Ragged.from_lengths(scores, lengths)
    found = LOSSES[name](lists, labels, item_weights=weights, **options)
    return found, torch.autograd.grad(found.values.sum(), scores)[0]


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.sampled_from([0, 1, 2, 5, 8, 15, 16, 17, 33, 70]), min_size=1, max_size=5),
    seed=st.integers(0, 999),
    scale=st.sampled_from([0.1, 3.0, 100.0]),
    weighed=st.booleans(),
)
def test_the_kernels_are_the_losses_in_double_precision(
    name: str, lengths: list[int], seed: int, scale: float, weighed: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    values = scale * torch.randn(total, generator=generator)
    labels = torch.randint(0, 4, (total,), generator=generator)
    weights = torch.rand(total, generator=generator) if weighed else None
    sizes = torch.tensor(lengths)
    fast, slope = run(name, values, sizes, labels, weights)
    slow, exact = run(name, values.double(), sizes, labels, weights)
    close = {"rtol": 2e-5, "atol": 2e-5, "check_dtype": False}
    torch.testing.assert_close(fast.values, slow.values, **close)
    torch.testing.assert_close(fast.weights, slow.weights, **close)
    # Steep losses turn the rounding of the scores themselves into slopes.
    torch.testing.assert_close(
        slope,
        exact,
        rtol=1e-4,
        atol=1e-5 * max(1.0, float(exact.abs().amax() if total else 0)),
        check_dtype=False,
    )


@pytest.mark.usefixtures("instructions")
def test_small_losses_keep_their_digits() -> None:
    lists = Ragged.from_lengths(torch.tensor([12.0, 0.0]), torch.tensor([2]))
    found = losses.pairwise_logistic(lists, torch.tensor([1.0, 0.0])).values
    assert float(found) == pytest.approx(6.144193e-06, rel=1e-5)


def test_more_threads_give_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 300, (200,), generator=generator)
    lists = Ragged.from_lengths(torch.randn(int(lengths.sum()), generator=generator), lengths)
    labels = torch.randint(0, 5, lists.values.shape, generator=generator).float()
    one, three = (
        kernels.list_logistic(lists.values, lists.offsets, labels, gradient=True, threads=threads)
        for threads in (1, 3)
    )
    for first, second in zip(one, three, strict=True):
        assert torch.equal(first, second)


def test_equal_scores_keep_the_lists_order() -> None:
    lists = Ragged.from_lengths(torch.zeros(3), torch.tensor([3]))
    labels = torch.tensor([0.0, 1.0, 2.0])
    weight = DCGWeight(top_n=1)
    fast = losses.pairwise_logistic(lists, labels, lambda_weight=weight)
    slow = losses.pairwise_logistic(
        Ragged(lists.values.double(), lists.offsets), labels, lambda_weight=weight
    )
    assert float(fast.weights) == pytest.approx(float(slow.weights))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": torch.tensor([0, 2])}, "offsets end with the items"),
        ({"offsets": torch.tensor([0, 3, 2])}, "offsets never fall"),
        ({"offsets": torch.tensor([1, 3])}, "offsets start with 0"),
        ({"labels": torch.ones(2)}, "one value an item"),
        ({"weights": torch.ones(2)}, "one value an item"),
        ({"gains": torch.ones(3)}, "tables come with gains"),
        (
            {"gains": torch.ones(3), "tables": DCGWeight().tables(3)},
            "as long as the longest list and its room",
        ),
    ],
)
def test_the_kernels_refuse_what_would_read_beyond_an_array(change: dict[str, Any], message: str) -> None:
    given = {"scores": torch.zeros(3), "offsets": torch.tensor([0, 3]), "labels": torch.ones(3)} | change
    with pytest.raises(ValueError, match=message):
        kernels.list_logistic(**given)


def test_the_kernels_refuse_results_of_another_size() -> None:
    scores, offsets = torch.zeros(3).numpy(), torch.tensor([0, 3]).numpy()
    wrong = torch.zeros(2).numpy()
    with pytest.raises(ValueError, match="ranks must be"):
        _native.list_smooth_ranks(scores, offsets, 1, wrong)
    with pytest.raises(ValueError, match="slopes must be"):
        _native.list_smooth_rank_slopes(scores, offsets, scores, 1, wrong)
    with pytest.raises(ValueError, match="values must be"):
        _native.list_cross_entropy(scores, offsets, scores, 1, wrong, wrong, None)
    with pytest.raises(ValueError, match="ideal must be"):
        _native.list_ideal_dcg(scores, offsets, scores, wrong)


@pytest.mark.usefixtures("instructions")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    where=st.integers(0, 10_000),
    wrong=st.sampled_from([("score", float("nan")), ("score", float("inf")), ("score", float("-inf"))])
    | st.sampled_from([("label", float("nan")), ("label", float("inf")), ("label", -1.0)]),
    labelled=st.booleans(),
)
def test_a_number_that_makes_no_sense_is_found_wherever_it_stands(
    lengths: list[int], where: int, wrong: tuple[str, float], labelled: bool
) -> None:
    total = sum(lengths)
    if total == 0:
        return
    numbers = {"score": torch.linspace(-3, 3, total), "label": torch.full((total,), float(labelled))}
    numbers[wrong[0]][where % total] = wrong[1]
    lists = Ragged.from_lengths(numbers["score"], torch.tensor(lengths))
    with pytest.raises(DataError, match=f"a {wrong[0]} is"):
        losses.softmax(lists, numbers["label"])


@pytest.mark.usefixtures("instructions")
def test_a_softmax_of_many_lists_of_all_lengths_is_that_in_double_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([*torch.randint(0, 60, (70,), generator=generator), 5000, 0, 3, 2048, 1])
    values = 4 * torch.randn(int(lengths.sum()), generator=generator)
    labels = torch.randint(0, 3, values.shape, generator=generator)
    fast, slope = run("softmax", values, lengths, labels, None)
    slow, exact = run("softmax", values.double(), lengths, labels, None)
    torch.testing.assert_close(fast.values.double(), slow.values, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fast.weights.double(), slow.weights)
    torch.testing.assert_close(slope.double(), exact, rtol=1e-5, atol=1e-7)


def test_a_second_derivative_is_refused() -> None:
    values = torch.randn(6).requires_grad_()
    total = losses.softmax(Ragged.from_lengths(values, torch.tensor([2, 4])), torch.ones(6)).total()
    (slopes,) = torch.autograd.grad(total * total, values, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slopes.sum().backward()


@pytest.mark.usefixtures("instructions")
def test_losses_that_are_asked_for_twice_have_the_same_gradient_twice() -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(0)).requires_grad_()
    lists = Ragged.from_lengths(values, torch.tensor([20, 0, 30]))
    labels = torch.arange(50.0) % 3
    found = losses.softmax(lists, labels)
    total = found.total()
    first, second = (torch.autograd.grad(total, values, retain_graph=True)[0].clone() for _ in range(2))
    assert torch.equal(first, second)
    (scaled,) = torch.autograd.grad(2 * found.total(), values, retain_graph=True)
    torch.testing.assert_close(scaled, 2 * first)
    (mean,) = torch.autograd.grad(found.mean(), values, retain_graph=True)
    torch.testing.assert_close(mean, first / labels.sum())
