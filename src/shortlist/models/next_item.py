"""Three ways to judge a guess of the next item: against all items, against a sample, against the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.losses import MASKED_SCORE, in_batch_softmax, weighted_mean
from shortlist.losses.fused_softmax import weighted_softmax_loss
from shortlist.losses.reduction import normalised_weights
from shortlist.losses.softmax_rules import Rules


def full_softmax(queries: Tensor, table: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Softmax cross-entropy over the whole catalogue, without the matrix of its scores.

    Args:
        queries: `[n, dim]`.
        table: `[num_items + 1, dim]` item embeddings; row 0, the unknown, is no candidate.
        targets: `[n]` int64, from 1.
        weight: `[n]` non-negative.

    Returns:
        Scalar, the weighted mean.
    """
    with torch.autocast(queries.device.type, enabled=False):
        scored = queries.float()
        rules = Rules(targets - 1, None, None, None, None, None, None)
        weights = normalised_weights(weight, scored[:, 0])
        return weighted_softmax_loss(
            scored, table[1:].float(), rules, masked_score=MASKED_SCORE, weights=weights
        )


def sampled_binary(
    queries: Tensor, table: Tensor, targets: Tensor, weight: Tensor, *, negatives: int, calibration: float
) -> Tensor:
    """Generalised binary cross-entropy (gBCE) against a uniform sample of the items.

    A sample holds few of the negatives, so plain binary cross-entropy is overconfident; the positive's
    probability is raised to a power that makes up for it.

    Args:
        queries: `[n, dim]`.
        table: `[num_items + 1, dim]` item embeddings.
        targets: `[n]` int64, from 1.
        weight: `[n]` non-negative.
        negatives: items drawn for all queries together; one that is a query's own does not count for it.
        calibration: from 0, plain binary cross-entropy, to 1, fully calibrated.

    Returns:
        Scalar, the weighted mean.

    Source: Petrov & Macdonald, gSASRec: reducing overconfidence in sequential recommendation trained with
    negative sampling (RecSys 2023).
    """
    others = len(table) - 2
    drawn = torch.randint(1, len(table), (negatives,), device=table.device)
    positive = (queries * functional.embedding(targets, table)).sum(1).float()
    scores = (queries @ functional.embedding(drawn, table).T).float()  # [n, negatives]
    rate = min(1.0, negatives / max(others, 1))
    power = 1 - calibration * (1 - rate)
    wrong = functional.softplus(scores).masked_fill(targets[:, None] == drawn, 0)
    return weighted_mean(power * functional.softplus(-positive) + wrong.sum(1), weight)


def batch_softmax(
    queries: Tensor, table: Tensor, targets: Tensor, weight: Tensor, *, probability: Tensor
) -> Tensor:
    """Softmax cross-entropy against the targets of the batch, with the logQ correction.

    Args:
        queries: `[n, dim]`.
        table: `[num_items + 1, dim]` item embeddings.
        targets: `[n]` int64, from 1.
        weight: `[n]` non-negative.
        probability: `[num_items + 1]` how likely each item is to be a target.

    Returns:
        Scalar, the weighted mean.
    """
    return in_batch_softmax(
        queries,
        functional.embedding(targets, table),
        candidate_ids=targets,
        sampling_probability=probability[targets],
        one_embedding_per_id=True,
        reduction="mean",
        sample_weight=weight,
    )
