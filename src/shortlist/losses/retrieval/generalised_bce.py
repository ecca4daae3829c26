"""Binary cross-entropy that drawn negatives do not make overconfident."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses.pointwise import at_least_float32


def generalised_binary_cross_entropy(
    positive_scores: Tensor, negative_scores: Tensor, *, num_items: int, calibration: float = 0.75
) -> Tensor:
    """gBCE: binary cross-entropy of a positive and its drawn negatives, with calibrated probabilities.

    A model that learns from few negatives takes items for likelier than they are. Here the probability of
    the positive is raised to the power `beta = a * (t * (1 - 1 / a) + 1 / a)`, where `a` is the share of the
    catalogue's negatives that is drawn and `t` the calibration.

    Args:
        positive_scores: `[batch]` float scores (logits) of the items that were chosen.
        negative_scores: `[batch, num_negatives]` float scores of items that were drawn uniformly. One that is
            not to count has `MASKED_SCORE`.
        num_items: size of the catalogue.
        calibration: `t`, from 0 (plain binary cross-entropy) to 1 (probabilities as without drawing).

    Returns:
        `[batch]` losses in nats, the mean over the positive and its negatives.

    Raises:
        ConfigError: the calibration is out of range, or the catalogue has no two items.
        ShapeError: the negatives do not belong to the positives.

    Source: Petrov & Macdonald, gSASRec: Reducing overconfidence in sequential recommendation trained with
    negative sampling (RecSys 2023).
    """
    if not 0 <= calibration <= 1:
        raise ConfigError(f"calibration is {calibration}", remedy="pass a number from 0 to 1, such as 0.75")
    if num_items < 2:
        raise ConfigError(f"num_items is {num_items}", remedy="pass the size of the catalogue, at least 2")
    if positive_scores.ndim != 1 or negative_scores.ndim != 2 or len(negative_scores) != len(positive_scores):
        raise ShapeError(
            f"positive scores {tuple(positive_scores.shape)} do not go with negative scores "
            f"{tuple(negative_scores.shape)}",
            remedy="pass [batch] positives and [batch, num_negatives] negatives",
        )
    count = negative_scores.shape[1]
    share = min(count / (num_items - 1), 1.0)
    beta = calibration * (share - 1) + 1  # the paper's, multiplied out
    positive = functional.softplus(-at_least_float32(positive_scores)) * beta
    negative = functional.softplus(at_least_float32(negative_scores)).sum(1)
    return (positive + negative) / (count + 1)
