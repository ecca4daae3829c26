"""Tasks that learn a position bias beside the ranker: their losses by hand, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch

from shortlist import losses
from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.tasks import AdditiveBias, DualLearning, RegressionEM, UnbiasedRanking

SCORES = Ragged.from_lists([[1.0, 0.0, 2.0], [0.5, 0.0], [3.0], []], dtype=torch.float32)
CLICKS = torch.tensor([1.0, 0, 1, 0, 1, 0])
POSITIONS = torch.tensor([2, 0, 1, 0, 1, 0])
LOGITS = torch.tensor([0.5, 0.1, -1.0])
TASKS = {"dual": DualLearning, "em": RegressionEM, "additive": AdditiveBias}
each_task = pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)


def biased(make, **settings) -> UnbiasedRanking:
    task = make(3, **settings)
    with torch.no_grad():
        task.logits.copy_(LOGITS)
    return task


def test_dual_learning_weighs_each_loss_by_what_the_other_learned():
    found = biased(DualLearning)(SCORES, CLICKS, POSITIONS)
    ranking, bias, looked, wanted = 0.0, 0.0, 0.0, 0.0
    for scores, positions, clicked, top in (
        ([1.0, 0, 2], [2, 0, 1], (0, 2), 0.0), ([0.5, 0], [0, 1], (1,), 0.5),
    ):  # fmt: skip
        logits = [float(LOGITS[position]) for position in positions]
        for item in clicked:
            weight = math.exp(float(LOGITS[0]) - logits[item])
            ranking -= weight * (scores[item] - math.log(sum(map(math.exp, scores))))
            looked += weight
            weight = math.exp(top - scores[item])
            bias -= weight * (logits[item] - math.log(sum(map(math.exp, logits))))
            wanted += weight
    assert float(found.detach()) == pytest.approx(ranking / looked + bias / wanted, rel=1e-5)


def test_a_weight_of_dual_learning_is_cut():
    task = biased(DualLearning, most=1.0)
    expected = losses.softmax(SCORES, CLICKS).mean()
    with torch.no_grad():
        task.logits.zero_()
    bias = losses.softmax(
        Ragged(torch.zeros(6), SCORES.offsets), CLICKS, item_weights=(1 - SCORES.values).exp()
    )
    assert bias.mean().isfinite()
    assert task(SCORES, CLICKS, POSITIONS) >= expected


def test_additive_bias_is_a_loss_of_the_sum():
    both = Ragged(SCORES.values + LOGITS[POSITIONS], SCORES.offsets)
    for loss in (losses.softmax, losses.sigmoid_cross_entropy):
        found = biased(AdditiveBias, loss=loss)(SCORES, CLICKS, POSITIONS)
        torch.testing.assert_close(found, loss(both, CLICKS).mean())


def test_dropout_leaves_out_biases_in_training_alone():
    task = biased(AdditiveBias, dropout=0.5)
    torch.manual_seed(0)
    trained = {round(task(SCORES, CLICKS, POSITIONS).item(), 4) for _ in range(20)}
    assert len(trained) > 1
    evaluated = {task.eval()(SCORES, CLICKS, POSITIONS).item() for _ in range(5)}
    assert evaluated == {biased(AdditiveBias)(SCORES, CLICKS, POSITIONS).item()}


def test_regression_em_is_the_loss_of_examination_and_relevance():
    both = Ragged(torch.stack([LOGITS[POSITIONS], SCORES.values], dim=1), SCORES.offsets)
    found = biased(RegressionEM)(SCORES, CLICKS, POSITIONS)
    torch.testing.assert_close(found, losses.click_em(both, CLICKS).mean())


def test_propensities_are_beside_the_first_position():
    expected = (LOGITS - LOGITS[0]).exp()
    torch.testing.assert_close(biased(DualLearning).propensities(), expected)
    torch.testing.assert_close(biased(AdditiveBias).propensities(), expected)
    chances = LOGITS.sigmoid()
    torch.testing.assert_close(biased(RegressionEM).propensities(), chances / chances[0])


@each_task
def test_the_ranker_and_the_positions_both_get_a_gradient(make):
    values = SCORES.values.clone().requires_grad_()
    task = biased(make)
    task(Ragged(values, SCORES.offsets), CLICKS, POSITIONS).backward()
    assert values.grad.abs().sum() > 0
    assert task.logits.grad.abs().sum() > 0


@each_task
def test_lists_without_items_or_of_weight_0_change_nothing(make):
    task = biased(make)
    first = Ragged(SCORES.values[:3], torch.tensor([0, 3]))
    expected = task(first, CLICKS[:3], POSITIONS[:3])
    found = task(SCORES, CLICKS, POSITIONS, list_weights=torch.tensor([1.0, 0, 0, 5]))
    torch.testing.assert_close(found, expected)


@each_task
def test_a_batch_without_lists_has_a_loss_of_0(make):
    nothing = Ragged(torch.zeros(0, requires_grad=True), torch.zeros(3, dtype=torch.int64))
    loss = biased(make)(nothing, torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss == 0


@each_task
def test_a_score_that_is_not_finite_is_left_to_the_training_to_report(make):
    values = SCORES.values.clone()
    values[2] = torch.inf
    assert biased(make)(Ragged(values, SCORES.offsets), CLICKS, POSITIONS).isnan()


@each_task
@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        (
            {"positions": POSITIONS + 1},
            DataError,
            "position 3 is not among the task's 3 positions.*positions=4",
        ),
        ({"positions": POSITIONS - 1}, DataError, "position -1 is not"),
        ({"positions": POSITIONS[:5]}, ShapeError, "one int64 position an item"),
        ({"positions": POSITIONS.float()}, ShapeError, "one int64 position an item"),
        ({"clicks": -CLICKS}, DataError, "label is -1"),
        ({"clicks": CLICKS / 0 * 0}, DataError, "label is nan"),
        ({"clicks": CLICKS[:5]}, ShapeError, "labels are"),
        ({"list_weights": -torch.ones(4)}, DataError, "list weight is -1"),
        ({"list_weights": torch.ones(3)}, ShapeError, "list weights are"),
    ],
)
def test_what_makes_no_sense_is_refused(make, changes, error, match):
    given = {"scores": SCORES, "clicks": CLICKS, "positions": POSITIONS, **changes}
    with pytest.raises(error, match=match):
        biased(make)(**given)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: DualLearning(0), "positions is 0"),
        (lambda: RegressionEM(2.5), "positions is 2.5"),
        (lambda: DualLearning(3, most=0.5), "most is 0.5"),
        (lambda: AdditiveBias(3, dropout=1.0), "dropout is 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(make, match):
    with pytest.raises(ConfigError, match=match):
        make()
