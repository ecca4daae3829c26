from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import metrics as slow

from shortlist.errors import DataError, ShapeError
from shortlist.metrics import AUC, RMSE, Accuracy, GroupedAUC, LogLoss, Mean, auc, grouped_auc

ROW = st.tuples(
    st.sampled_from([-2.0, 0, 0.25, 0.5, 1, math.inf]),  # few scores, so many ties
    st.integers(0, 1),
    st.integers(-1, 3),
    st.sampled_from([0.0, 0.1, 0.3, 1 / 3, 1, 7]),
)
ROWS = st.lists(ROW, max_size=25)


def columns(rows):
    scores, labels, groups, weights = ([row[i] for row in rows] for i in range(4))
    return (
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(groups, dtype=torch.int64),
        torch.tensor(weights, dtype=torch.float64),
    )


def close(ours, theirs):
    return ours == pytest.approx(theirs, rel=1e-9, abs=1e-9, nan_ok=True)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(0, 25))
def test_both_aucs_equal_the_slow_reference_in_one_part_or_two(rows, cut):
    scores, labels, groups, weights = columns(rows)
    plain = [column.tolist() for column in (scores, labels, groups, weights)]
    wanted = slow.auc(plain[0], plain[1], plain[3])
    wanted_grouped = slow.grouped_auc(*plain)
    assert close(auc(scores, labels, sample_weight=weights), wanted)
    assert close(grouped_auc(scores, labels, groups, sample_weight=weights), wanted_grouped)

    total, grouped = [AUC(), AUC()], [GroupedAUC(), GroupedAUC()]
    for part, area, by_group in zip((slice(0, cut), slice(cut, None)), total, grouped, strict=True):
        area.update(scores[part], labels[part], sample_weight=weights[part])
        by_group.update(scores[part], labels[part], groups=groups[part], sample_weight=weights[part])
    total[0].merge(total[1])
    grouped[0].merge(grouped[1])
    assert close(total[0].compute(), {"auc": wanted})
    assert close(grouped[0].compute(), {"grouped_auc": wanted_grouped})


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(0, 25))
def test_log_loss_accuracy_rmse_and_mean_equal_the_slow_reference_in_one_part_or_two(rows, cut):
    scores, labels, _, weights = columns(rows)
    p = scores.clamp(0, 1)
    kept = weights.tolist()
    pairs = list(zip(p.tolist(), labels.tolist(), strict=True))
    losses = [-math.log(min(max(q if y else 1 - q, 1e-7), 1 - 1e-7)) for q, y in pairs]
    wanted = {
        "log_loss": slow.mean(losses, kept),
        "accuracy": slow.mean([float((q > 0.5) == (y == 1)) for q, y in pairs], kept),
        "rmse": math.sqrt(slow.mean([(q - y) ** 2 for q, y in pairs], kept)),
    }
    for kind in (LogLoss, Accuracy, RMSE):
        first, second = kind(), kind()
        for part, metric in ((slice(0, cut), first), (slice(cut, None), second)):
            metric.update(p[part], labels[part], sample_weight=weights[part])
        first.merge(second)
        name = first.names[0]
        assert close(first.compute(), {name: wanted[name]})
    average = Mean("prediction")
    average.update(p, sample_weight=weights)
    assert close(average.compute(), {"prediction": slow.mean(p.tolist(), kept)})


def test_log_loss_of_logits_is_that_of_their_probabilities_and_survives_large_ones():
    logits, labels = torch.tensor([-3.0, 0.5, 2.0]), torch.tensor([0, 1, 0])
    raw, squashed = LogLoss(from_logits=True), LogLoss()
    raw.update(logits, labels)
    squashed.update(logits.sigmoid(), labels)
    assert raw.compute()["log_loss"] == pytest.approx(squashed.compute()["log_loss"], rel=1e-5)
    raw.reset()
    raw.update(torch.tensor([-5_000.0]), torch.tensor([1]))
    assert raw.compute()["log_loss"] == 5_000


def test_one_class_only_has_no_auc():
    assert math.isnan(auc(torch.rand(4), torch.ones(4)))
    assert math.isnan(AUC().compute()["auc"])
    assert math.isnan(GroupedAUC().compute()["grouped_auc"])
    # Each group has one class: the areas between groups do not count.
    groups = torch.tensor([0, 0, 1, 1])
    assert math.isnan(grouped_auc(torch.rand(4), torch.tensor([1, 1, 0, 0]), groups))


def test_scores_that_are_all_equal_have_an_auc_of_a_half():
    assert auc(torch.zeros(7), torch.tensor([0, 1, 0, 0, 1, 1, 0])) == 0.5


def test_a_row_of_weight_zero_changes_nothing_even_if_infinite():
    metric = RMSE()
    metric.update(torch.tensor([1.0, torch.inf]), torch.zeros(2), sample_weight=torch.tensor([1.0, 0.0]))
    assert metric.compute()["rmse"] == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_column_shapes_are_accepted(dtype):
    scores = torch.tensor([[0.5], [0.25]], dtype=dtype)
    labels = torch.tensor([[1], [0]])
    assert auc(scores, labels, sample_weight=torch.ones(2, dtype=dtype)) == 1
    metric = Accuracy(threshold=0.3)
    metric.update(scores, labels)
    assert metric.compute()["accuracy"] == 1


@pytest.mark.parametrize("kind", [AUC, LogLoss, Accuracy, RMSE])
def test_mistakes_are_refused_and_leave_the_metric_as_it_was(kind):
    metric = kind()
    ones = torch.ones(2)
    with pytest.raises(DataError, match="not a number"):
        metric.update(torch.tensor([0.5, torch.nan]), ones)
    with pytest.raises(ShapeError, match="reshape"):
        metric.update(torch.zeros(2, 1), ones)
    with pytest.raises(DataError, match="negative"):
        metric.update(ones, ones, sample_weight=-ones)
    with pytest.raises(ShapeError, match="one weight a row"):
        metric.update(ones, ones, sample_weight=torch.ones(3))
    if kind is not RMSE:
        with pytest.raises(DataError, match="a label is 2"):
            metric.update(ones, ones * 2)
    assert all(math.isnan(value) for value in metric.compute().values())


def test_groups_must_be_integers_and_probabilities_between_0_and_1():
    with pytest.raises(ShapeError, match="one integer a score"):
        GroupedAUC().update(torch.ones(2), torch.ones(2), groups=torch.ones(2))
    with pytest.raises(DataError, match="from_logits=True"):
        LogLoss().update(torch.tensor([1.5]), torch.tensor([1]))
