"""Single labelled events, clicks and ratings: the loss and the metrics of a ranker."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from shortlist.data.feature_space import Batch, dense
from shortlist.losses import binary_cross_entropy_with_logits, squared_error, weighted_mean
from shortlist.metrics import AUC, RMSE
from shortlist.models.ranking.list_losses import Loss


def event_loss(logits: Tensor, batch: Batch, loss: Loss) -> Tensor:
    """The mean loss of a batch of events.

    Args:
        logits: `[batch]` float; the predictions themselves where the loss is of ratings.
        batch: with `label` and, perhaps, `weight`.
        loss: `"click"` or `"rating"`.

    Returns:
        A scalar.
    """
    losses = squared_error if loss == "rating" else binary_cross_entropy_with_logits
    weights = dense(batch, "weight") if "weight" in batch else None
    return weighted_mean(losses(logits, dense(batch, "label")), weights)


@torch.no_grad()
def event_metrics(model: Callable[[Batch], Tensor], batches: Iterable[Batch], loss: Loss) -> dict[str, float]:
    """How well the labels of some events are predicted.

    Args:
        model: from a batch to `[batch]` logits or ratings.
        batches: of events, with labels and weights.
        loss: `"click"` or `"rating"`.

    Returns:
        `validation_loss`, the mean over the events; `rmse` of ratings; `auc` of clicks, where all labels are
        0 or 1.
    """
    metric: RMSE | AUC = RMSE() if loss == "rating" else AUC()
    total, count, measured = 0.0, 0, True
    for batch in batches:
        logits, labels = model(batch), dense(batch, "label")
        total += float(event_loss(logits, batch, loss)) * len(labels)
        count += len(labels)
        measured = measured and (loss == "rating" or bool(((labels == 0) | (labels == 1)).all()))
        if measured:
            metric.update(logits, labels, sample_weight=dense(batch, "weight"))
    return {"validation_loss": total / count} | (metric.compute() if measured else {})
