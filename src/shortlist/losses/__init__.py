"""What is minimised: functions from scores and labels to one loss an example, or one a list of examples."""

from shortlist.losses.lists.approximate import approx_mrr, approx_ndcg, gumbel_approx_ndcg, yeti_logistic
from shortlist.losses.lists.gains import (
    exponential_gain,
    linear_gain,
    logarithmic_discount,
    reciprocal_discount,
)
from shortlist.losses.lists.lambda_weights import (
    DCGWeight,
    LabelDifferenceWeight,
    LambdaWeight,
    PrecisionWeight,
)
from shortlist.losses.lists.list_losses import ListLosses
from shortlist.losses.lists.listwise import calibrated_softmax, list_net, softmax, xe_ndcg
from shortlist.losses.lists.neural_sort import neural_sort_cross_entropy, neural_sort_ndcg
from shortlist.losses.lists.order import coupled_rank_distil, list_mle
from shortlist.losses.lists.pairwise import (
    pairwise_hinge,
    pairwise_logistic,
    pairwise_soft_zero_one,
    pairwise_squared,
)
from shortlist.losses.lists.pointwise import (
    click_em,
    mean_squared,
    mixture_em,
    multi_class,
    ordinal,
    sigmoid_cross_entropy,
)
from shortlist.losses.lists.propensities import (
    harvested_propensities,
    inverse_propensity_weights,
    randomised_propensities,
)
from shortlist.losses.lists.rivals import circle, unique_softmax
from shortlist.losses.pairwise import bayesian_personalized_ranking
from shortlist.losses.pointwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber,
    squared_error,
)
from shortlist.losses.reduction import weighted_mean
from shortlist.losses.retrieval.full_softmax import full_softmax
from shortlist.losses.retrieval.fused_softmax import MASKED_SCORE
from shortlist.losses.retrieval.generalised_bce import generalised_binary_cross_entropy
from shortlist.losses.retrieval.in_batch_softmax import in_batch_scores, in_batch_softmax
from shortlist.losses.retrieval.sampled_softmax import mixed_probability, sampled_scores, sampled_softmax

__all__ = [
    "MASKED_SCORE",
    "DCGWeight",
    "LabelDifferenceWeight",
    "LambdaWeight",
    "ListLosses",
    "PrecisionWeight",
    "approx_mrr",
    "approx_ndcg",
    "bayesian_personalized_ranking",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "calibrated_softmax",
    "circle",
    "click_em",
    "coupled_rank_distil",
    "exponential_gain",
    "full_softmax",
    "generalised_binary_cross_entropy",
    "gumbel_approx_ndcg",
    "harvested_propensities",
    "huber",
    "in_batch_scores",
    "in_batch_softmax",
    "inverse_propensity_weights",
    "linear_gain",
    "list_mle",
    "list_net",
    "logarithmic_discount",
    "mean_squared",
    "mixed_probability",
    "mixture_em",
    "multi_class",
    "neural_sort_cross_entropy",
    "neural_sort_ndcg",
    "ordinal",
    "pairwise_hinge",
    "pairwise_logistic",
    "pairwise_soft_zero_one",
    "pairwise_squared",
    "randomised_propensities",
    "reciprocal_discount",
    "sampled_scores",
    "sampled_softmax",
    "sigmoid_cross_entropy",
    "softmax",
    "squared_error",
    "unique_softmax",
    "weighted_mean",
    "xe_ndcg",
    "yeti_logistic",
]
