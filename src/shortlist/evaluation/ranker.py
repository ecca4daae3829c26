"""Figures of a funnel's ranker by itself: how well it predicts labels, and how true its chances are."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import torch
from torch import Tensor

from shortlist.calibration import reliability
from shortlist.data.dataset import Dataset
from shortlist.data.rebinding import check_same_ids
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.rank import Scored, ranking_lists
from shortlist.metrics import RMSE, LogLoss, auc
from shortlist.models import Objectives, Ranker, predict_objectives, score_events

Figures = dict[str, float]


def evaluate_ranker(funnel: Funnel, test: Dataset) -> dict[str, Figures]:
    """How well a funnel's ranker predicts what held-out events were labelled with.

    A ranker of clicks, ratings or several objectives is asked for every labelled event. One that learned from
    lists predicts nothing but an order, unless its scores are calibrated: then its chances are compared with
    what was wanted, candidate by candidate, in the lists that the retrievers find for the positive events.

    Args:
        funnel: with a ranker.
        test: the test part of a split whose train part the funnel stands on.

    Returns:
        By label (its column, or `"wanted"` for candidates): `events`, how many were compared; of clicks
        `auc`, `log_loss` and `calibration_error` (the expected one, see `calibration.reliability`); of
        ratings `rmse`. `mean_log_loss` and `mean_rmse` are those of the train part's mean label: what a
        ranker that knows nothing gets. Nothing where there is nothing to compare.

    Raises:
        ConfigError: the test part belongs to other data than the funnel's.
    """
    remedy = "use the train part of the split that gave this test part"
    check_same_ids(funnel.data, test, what="this Funnel", remedy=remedy)
    rank = funnel.rank
    if rank is None:
        return {}
    if isinstance(rank.ranker, Ranker) and rank.ranker.objectives is not None:
        return _of_objectives(rank.ranker, funnel.data, test)
    if isinstance(rank.ranker, Ranker) and rank.ranker.loss in ("click", "rating"):
        return _of_events(rank, rank.ranker, funnel.data, test)
    return {} if rank.calibration is None else _of_candidates(rank, funnel, test)


def _of_objectives(ranker: Ranker, train: Dataset, test: Dataset) -> dict[str, Figures]:
    assert ranker.objectives is not None
    predicted, figures = predict_objectives(ranker, test), {}
    for column, loss in ranker.objectives.losses.items():
        if not _has_labels(test, column):
            continue  # a test part may be too small to hold labels of every kind
        truth, learned = (Objectives({column: loss}).labels(part)[:, 0] for part in (test, train))
        rows = _counted(test) & ~truth.isnan()
        weights = torch.from_numpy(test.weights)[rows]
        mean = float(learned.nanmean())
        figures[column] = _judged(predicted[column][rows], truth[rows], weights, loss, mean)
    return figures


def _of_events(rank: Scored, ranker: Ranker, train: Dataset, test: Dataset) -> dict[str, Figures]:
    if test.labels is None or train.labels is None:
        return {}
    rows, mean = _counted(test), float(train.labels[train.is_label].mean())
    labels, weights = (torch.from_numpy(each)[rows] for each in (test.labels, test.weights))
    chances = torch.sigmoid if rank.calibration is None else rank.calibration
    judged = _judged(score_events(ranker, test)[rows], labels, weights, ranker.loss, mean, chances=chances)
    return {test.schema.label or "label": judged}


def _has_labels(test: Dataset, column: str) -> bool:
    if column not in test.interactions.columns:
        return False
    values = test.interactions[column].cast(pl.Float32, strict=False)
    return len(values.drop_nulls().drop_nans()) > 0


def _counted(test: Dataset) -> Tensor:
    """`[events]` bool, events that a model is to predict."""
    return torch.from_numpy(test.is_label & (test.weights > 0))


def _of_candidates(rank: Scored, funnel: Funnel, test: Dataset) -> dict[str, Figures]:
    assert rank.calibration is not None
    lists = ranking_lists(funnel.retrievers, test, every=True)
    scores = rank.ranker.score_candidates(lists.requests, lists.candidates)
    ones = torch.ones_like(lists.labels)
    return {"wanted": _of_clicks(scores, rank.calibration(scores), lists.labels, ones)}


def _judged(
    scores: Tensor,
    labels: Tensor,
    weights: Tensor,
    loss: str,
    mean: float,
    *,
    chances: Callable[[Tensor], Tensor] = torch.sigmoid,
) -> Figures:
    """The figures of clicks or of ratings, beside those of the mean label of the train part."""
    if loss == "rating":
        constant = torch.full_like(labels, mean)
        rmse = {"rmse": scores, "mean_rmse": constant}
        errors = {name: _rmse(each, labels, weights) for name, each in rmse.items()}
        return {"events": float(len(labels)), **errors}
    figures = _of_clicks(scores, chances(scores), labels, weights)
    if "log_loss" in figures:
        figures["mean_log_loss"] = _log_loss(torch.full_like(labels, mean), labels, weights)
    return figures


def _of_clicks(scores: Tensor, chances: Tensor, labels: Tensor, weights: Tensor) -> Figures:
    figures = {"events": float(len(labels))}
    if len(labels) == 0:
        return figures
    if bool(((labels == 0) | (labels == 1)).all()):  # in between, nothing says which of two is the better
        figures["auc"] = auc(scores, labels, sample_weight=weights)
        figures["log_loss"] = _log_loss(chances, labels, weights)
    found = reliability(chances, labels, sample_weight=weights)
    return figures | {"calibration_error": found.expected_error}


def _log_loss(chances: Tensor, labels: Tensor, weights: Tensor) -> float:
    metric = LogLoss()
    metric.update(chances, labels, sample_weight=weights)
    return metric.compute()["log_loss"]


def _rmse(predictions: Tensor, labels: Tensor, weights: Tensor) -> float:
    metric = RMSE()
    metric.update(predictions, labels, sample_weight=weights)
    return metric.compute()["rmse"]
