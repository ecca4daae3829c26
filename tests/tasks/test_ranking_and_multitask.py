"""One prediction an example, and several tasks at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import binary_cross_entropy_with_logits, squared_error
from shortlist.metrics import RMSE, Mean
from shortlist.tasks import MultiTask, Ranking

PREDICTIONS = torch.tensor([1.0, 2.0, 4.0])
LABELS = torch.tensor([1.0, 0.0, 1.0])


def test_clicks_are_the_default_and_the_loss_is_a_mean() -> None:
    expected = binary_cross_entropy_with_logits(PREDICTIONS, LABELS).mean()
    assert Ranking()(PREDICTIONS, LABELS) == expected


def test_ratings_are_weighed() -> None:
    loss = Ranking(loss=squared_error)(PREDICTIONS, LABELS, sample_weight=torch.tensor([5.0, 1.0, 2.0]))
    assert loss.item() == pytest.approx((0 * 5 + 4 * 1 + 9 * 2) / 8)


def test_each_kind_of_metric_sees_its_own_column_and_no_gradient() -> None:
    task = Ranking(
        loss=squared_error,
        metrics=[RMSE()],
        prediction_metrics=[Mean("prediction")],
        label_metrics=[Mean("label")],
    )
    predictions = PREDICTIONS.clone().requires_grad_()
    task(predictions, LABELS, sample_weight=torch.tensor([1.0, 1.0, 0.0]))
    assert task.metrics[0].compute()["rmse"] == pytest.approx(math.sqrt(2))
    assert task.prediction_metrics[0].compute()["prediction"] == pytest.approx(1.5)
    assert task.label_metrics[0].compute()["label"] == pytest.approx(0.5)


def test_a_column_of_predictions_against_a_row_of_labels_is_refused() -> None:
    with pytest.raises(ShapeError, match="squeeze"):
        Ranking()(PREDICTIONS[:, None], LABELS)


def both(**settings: Any) -> MultiTask:
    return MultiTask({"click": Ranking(), "rating": Ranking(loss=squared_error)}, **settings)


INPUTS = {
    "click": {"predictions": PREDICTIONS, "labels": LABELS},
    "rating": {"predictions": PREDICTIONS, "labels": LABELS},
}
CLICK = binary_cross_entropy_with_logits(PREDICTIONS, LABELS).mean()
RATING = squared_error(PREDICTIONS, LABELS).mean()


def test_losses_add_up_with_their_weights() -> None:
    torch.testing.assert_close(both()(INPUTS), CLICK + RATING)
    torch.testing.assert_close(both(weights={"rating": 0.25})(INPUTS), CLICK + RATING / 4)
    torch.testing.assert_close(both(weights={"rating": 0})(INPUTS), CLICK)


def test_learned_weights_bring_every_task_to_a_half() -> None:
    task = MultiTask({"small": nn.Identity(), "large": nn.Identity()}, balance="uncertainty")
    optimizer = torch.optim.SGD(task.parameters(), lr=0.1)
    losses = {"small": torch.tensor(0.01), "large": torch.tensor(50.0)}
    for _ in range(2000):
        optimizer.zero_grad()
        task.combine(losses).backward()
        optimizer.step()
    for name, loss in losses.items():
        assert task.weights[name] * loss.item() == pytest.approx(0.5, rel=1e-3)


def test_learned_weights_start_at_one_and_are_parameters() -> None:
    task = both(balance="uncertainty")
    torch.testing.assert_close(task(INPUTS), CLICK + RATING)
    assert [name for name, _ in task.named_parameters()] == ["balance.log_variances"]
    assert list(both().parameters()) == []


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'click'"):
        both()({**INPUTS, "clik": {}})
    with pytest.raises(ConfigError, match="nothing was passed for task 'rating'"):
        both()({"click": INPUTS["click"]})
    with pytest.raises(ConfigError, match="no task 'rated'"):
        both(weights={"rated": 1.0})


@pytest.mark.parametrize(
    ("tasks", "settings", "message"),
    [
        ({}, {}, "no tasks"),
        ({"a": nn.Identity()}, {"weights": {"a": 1.0}, "balance": "uncertainty"}, "would learn them"),
        ({"a": nn.Identity()}, {"weights": {"a": -1.0}}, "weight of task 'a'"),
        ({"a": nn.Identity()}, {"weights": {"a": float("nan")}}, "weight of task 'a'"),
    ],
)
def test_settings_that_contradict_are_refused(
    tasks: dict[str, nn.Module], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        MultiTask(tasks, **settings)
