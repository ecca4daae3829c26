"""What is minimised: functions from scores and labels to one loss an example."""

from shortlist.losses.full_softmax import full_softmax
from shortlist.losses.fused_softmax import MASKED_SCORE
from shortlist.losses.generalised_bce import generalised_binary_cross_entropy
from shortlist.losses.in_batch_softmax import in_batch_scores, in_batch_softmax
from shortlist.losses.pairwise import bayesian_personalized_ranking
from shortlist.losses.pointwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber,
    squared_error,
)
from shortlist.losses.reduction import weighted_mean
from shortlist.losses.sampled_softmax import mixed_probability, sampled_scores, sampled_softmax

__all__ = [
    "MASKED_SCORE",
    "bayesian_personalized_ranking",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "full_softmax",
    "generalised_binary_cross_entropy",
    "huber",
    "in_batch_scores",
    "in_batch_softmax",
    "mixed_probability",
    "sampled_scores",
    "sampled_softmax",
    "squared_error",
    "weighted_mean",
]
