"""Losses of a better item against a worse one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from shortlist.errors import ShapeError
from shortlist.losses.pointwise import at_least_float32


def bayesian_personalized_ranking(positive_scores: Tensor, negative_scores: Tensor) -> Tensor:
    """The negative log-probability that the positive beats each of its negatives.

    Args:
        positive_scores: `[batch]` float scores of the items that were chosen.
        negative_scores: `[batch]` or `[batch, num_negatives]` float scores of items that were not.

    Returns:
        `[batch]` losses in nats, the mean over each positive's negatives.

    Raises:
        ShapeError: the negatives do not belong to the positives.

    Source: Rendle et al., BPR: Bayesian personalized ranking from implicit feedback (UAI 2009).
    """
    if positive_scores.ndim != 1 or negative_scores.shape[:1] != positive_scores.shape:
        raise ShapeError(
            f"positive scores {tuple(positive_scores.shape)} do not go with negative scores "
            f"{tuple(negative_scores.shape)}",
            remedy="pass [batch] positives and [batch] or [batch, num_negatives] negatives",
        )
    positive = at_least_float32(positive_scores)
    negative = at_least_float32(negative_scores).reshape(len(positive), -1)
    return functional.softplus(negative - positive[:, None]).mean(dim=1)
