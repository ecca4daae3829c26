"""From the features of lists of items to one score an item."""

from shortlist.nn.scorers.additive import AdditiveScorer, FeatureCurve
from shortlist.nn.scorers.attention import AttentionScorer
from shortlist.nn.scorers.ensemble import EnsembleScorer
from shortlist.nn.scorers.groupwise import GroupwiseScorer
from shortlist.nn.scorers.univariate import UnivariateScorer

__all__ = [
    "AdditiveScorer",
    "AttentionScorer",
    "EnsembleScorer",
    "FeatureCurve",
    "GroupwiseScorer",
    "UnivariateScorer",
]
