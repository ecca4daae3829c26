"""Losses of single predictions and of pairs, and the mean that sums them up."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.losses import (
    bayesian_personalized_ranking,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber,
    squared_error,
    weighted_mean,
)

NUMBERS = st.floats(-50, 50)
PAIRS = st.lists(st.tuples(NUMBERS, st.floats(0, 1)), min_size=1, max_size=8)
POINTWISE = [squared_error, huber, binary_cross_entropy_with_logits]


def columns(pairs: list[tuple[float, ...]]) -> list[torch.Tensor]:
    return [torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True)]


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.floats(0.1, 10))
def test_pointwise_losses_are_their_formulas(pairs: list[tuple[float, float]], delta: float) -> None:
    predictions, labels = columns(pairs)
    for (p, y), square, robust, click in zip(
        pairs,
        squared_error(predictions, labels).tolist(),
        huber(predictions, labels, delta=delta).tolist(),
        binary_cross_entropy_with_logits(predictions, labels).tolist(),
        strict=True,
    ):
        error = abs(p - y)
        assert square == pytest.approx(error**2)
        assert robust == pytest.approx(error**2 / 2 if error <= delta else delta * (error - delta / 2))
        # -y log s(p) - (1 - y) log s(-p), each logarithm written so that nothing overflows
        assert click == pytest.approx(y * softplus(-p) + (1 - y) * softplus(p), abs=1e-12)


def softplus(value: float) -> float:
    return max(value, 0) + math.log1p(math.exp(-abs(value)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_cross_entropy_of_probabilities_is_cut_off_at_100_nats(pairs: list[tuple[float, float]]) -> None:
    losses = binary_cross_entropy(*columns(pairs)).tolist()
    for (p, y), loss in zip(pairs, losses, strict=True):
        log = [max(math.log(each), -100) if each > 0 else -100 for each in (p, 1 - p)]
        assert loss == pytest.approx(-y * log[0] - (1 - y) * log[1], rel=1e-9)


def test_a_confident_wrong_click_has_a_finite_loss_and_a_gradient() -> None:
    logit = torch.tensor([-1e4], requires_grad=True)
    loss = binary_cross_entropy_with_logits(logit, torch.ones(1))
    loss.sum().backward()
    assert loss.item() == 1e4
    assert logit.grad.item() == -1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, st.lists(NUMBERS, min_size=3, max_size=3)), min_size=1, max_size=5)
)  # fmt: skip
def test_a_pairwise_loss_is_the_mean_over_the_negatives(rows: list[tuple[float, list[float]]]) -> None:
    positives = torch.tensor([positive for positive, _ in rows], dtype=torch.float64)
    negatives = torch.tensor([negative for _, negative in rows], dtype=torch.float64)
    losses = bayesian_personalized_ranking(positives, negatives).tolist()
    for (positive, others), loss in zip(rows, losses, strict=True):
        assert loss == pytest.approx(sum(softplus(other - positive) for other in others) / len(others))
    one = bayesian_personalized_ranking(positives, negatives[:, 0])
    assert torch.equal(one, bayesian_personalized_ranking(positives, negatives[:, :1]))


@pytest.mark.parametrize("loss", POINTWISE)
def test_gradients_of_pointwise_losses_are_those_of_small_differences(loss) -> None:
    predictions = torch.tensor([0.3, -1.7, 2.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: loss(p, torch.tensor([0.0, 1.0, 0.5])), predictions)


@pytest.mark.parametrize("loss", [*POINTWISE, binary_cross_entropy])
def test_a_column_against_a_row_is_refused_rather_than_broadcast(loss) -> None:
    with pytest.raises(ShapeError, match="squeeze"):
        loss(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize("loss", [*POINTWISE, binary_cross_entropy])
def test_half_precision_and_whole_labels_are_widened(loss) -> None:
    losses = loss(torch.tensor([0.5, 0.25], dtype=torch.float16), torch.tensor([1, 0]))
    assert losses.dtype == torch.float32


@pytest.mark.parametrize(("prediction", "label"), [(1.5, 1.0), (float("nan"), 1.0), (0.5, -0.1)])
def test_what_is_no_probability_is_refused(prediction: float, label: float) -> None:
    with pytest.raises(DataError, match=r"outside \[0, 1\]"):
        binary_cross_entropy(torch.tensor([0.5, prediction]), torch.tensor([1.0, label]))


def test_a_distance_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="delta"):
        huber(torch.zeros(1), torch.zeros(1), delta=0)


@pytest.mark.parametrize(("positives", "negatives"), [((3, 1), (3, 1)), ((3,), (4,)), ((3,), (4, 2))])
def test_negatives_of_nobody_are_refused(positives: tuple[int, ...], negatives: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="do not go with"):
        bayesian_personalized_ranking(torch.zeros(positives), torch.zeros(negatives))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.floats(0, 10)), min_size=1, max_size=8))
def test_the_mean_is_weighted_and_does_not_depend_on_the_weights_scale(
    rows: list[tuple[float, float]],
) -> None:
    losses, weights = columns(rows)
    total = sum(weight for _, weight in rows)
    expected = sum(loss * weight for loss, weight in rows) / total if total else 0.0
    mean = float(weighted_mean(losses, weights))
    assert mean == pytest.approx(expected, abs=1e-9)
    assert float(weighted_mean(losses, 7 * weights)) == pytest.approx(mean, abs=1e-9)
    assert float(weighted_mean(losses)) == pytest.approx(losses.mean().item())


def test_padding_of_weight_zero_changes_neither_the_loss_nor_the_gradient() -> None:
    losses = torch.tensor([1.0, 3.0, 1e30], requires_grad=True)
    mean = weighted_mean(losses, torch.tensor([1.0, 1.0, 0.0]))
    mean.backward()
    assert mean.item() == 2
    assert losses.grad.tolist() == [0.5, 0.5, 0.0]


def test_no_weight_at_all_is_a_loss_of_zero_and_not_a_nan() -> None:
    assert weighted_mean(torch.ones(3), torch.zeros(3)).item() == 0
    assert weighted_mean(torch.ones(0)).item() == 0


def test_one_weight_a_row_is_spread_over_the_row() -> None:
    losses = torch.tensor([[1.0, 3.0], [10.0, 20.0]])
    assert weighted_mean(losses, torch.tensor([1.0, 0.0])).item() == 2
    assert weighted_mean(losses, torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item() == 10.5
    with pytest.raises(ShapeError, match="one weight an example"):
        weighted_mean(losses, torch.ones(3))
    with pytest.raises(ShapeError, match="one weight an example"):
        weighted_mean(torch.tensor(1.0), torch.ones(1))
