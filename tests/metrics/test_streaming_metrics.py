from __future__ import annotations

import math

import pytest
import torch

from shortlist import metrics
from shortlist.errors import ConfigError, DataError, ShapeError

EVERY_METRIC = [
    metrics.AUC(),
    metrics.Accuracy(),
    metrics.Coverage(3),
    metrics.FactorizedTopK(),
    metrics.GroupedAUC(),
    metrics.InBatchTopK(),
    metrics.LogLoss(),
    metrics.Mean(),
    metrics.RMSE(),
    metrics.RankingMetrics(),
]


@pytest.mark.parametrize("metric", EVERY_METRIC, ids=lambda metric: type(metric).__name__)
def test_every_metric_keeps_the_protocol_and_is_nan_before_it_saw_anything(metric):
    assert isinstance(metric, metrics.Metric)
    assert all(math.isnan(value) for value in metric.compute().values())


def test_the_public_names_are_there():
    assert all(hasattr(metrics, name) for name in metrics.__all__)


@pytest.mark.parametrize("ks", [(), (0,), (-1, 3), (1.5,), 10, ("10", 3)])
def test_cut_offs_that_mean_nothing_are_refused(ks):
    with pytest.raises(ConfigError, match=r"ks=\(10, 100\)"):
        metrics.FactorizedTopK(ks=ks)


def test_metrics_of_other_settings_are_not_merged():
    with pytest.raises(ConfigError, match="same settings"):
        metrics.FactorizedTopK(ks=(1,)).merge(metrics.FactorizedTopK(ks=(2,)))


def test_reset_forgets_everything():
    metric = metrics.Mean()
    metric.update(torch.tensor([[4.0, 2.0]]), sample_weight=torch.tensor([2.0]))
    assert metric.compute() == {"mean": 3}
    metric.reset()
    assert math.isnan(metric.compute()["mean"])


def test_the_in_batch_hit_rate_shares_ties_out():
    metric = metrics.InBatchTopK(ks=(1, 2, 9))
    scores = torch.tensor([[1.0, 1.0, 0.0], [0.0, 5.0, 3.0]], dtype=torch.float16)
    metric.update(scores, torch.eye(3)[:2])
    wanted = {"in_batch_hit_rate@1": 0.75, "in_batch_hit_rate@2": 1, "in_batch_hit_rate@9": 1}
    assert metric.compute() == pytest.approx(wanted)
    metric.update(torch.empty(0, 0), torch.empty(0, 0))
    with pytest.raises(ShapeError, match="batch, width"):
        metric.update(scores, torch.eye(3))
    with pytest.raises(DataError, match="not a number"):
        metric.update(scores * torch.nan, torch.eye(3)[:2])
