"""What is minimised: functions from scores and labels to one loss an example."""

from shortlist.losses.in_batch_softmax import MASKED_SCORE, in_batch_scores, in_batch_softmax
from shortlist.losses.pairwise import bayesian_personalized_ranking
from shortlist.losses.pointwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber,
    squared_error,
)
from shortlist.losses.reduction import weighted_mean

__all__ = [
    "MASKED_SCORE",
    "bayesian_personalized_ranking",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "huber",
    "in_batch_scores",
    "in_batch_softmax",
    "squared_error",
    "weighted_mean",
]
