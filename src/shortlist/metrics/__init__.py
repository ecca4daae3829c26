"""How good it is: streaming metrics with `update`, `compute`, `reset` and `merge`."""

from shortlist.metrics.classification import AUC, Accuracy, GroupedAUC, LogLoss, auc, grouped_auc
from shortlist.metrics.coverage import Coverage
from shortlist.metrics.diverse_lists import alpha_dcg, precision_ia
from shortlist.metrics.factorized_top_k import FactorizedTopK
from shortlist.metrics.in_batch import InBatchTopK
from shortlist.metrics.list_ranking import ListRankingMetrics
from shortlist.metrics.ranking import (
    RankingMetrics,
    average_precision,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from shortlist.metrics.regression import RMSE, Mean
from shortlist.metrics.scored_lists import ScoredLists
from shortlist.metrics.streaming import Metric

__all__ = [
    "AUC",
    "RMSE",
    "Accuracy",
    "Coverage",
    "FactorizedTopK",
    "GroupedAUC",
    "InBatchTopK",
    "ListRankingMetrics",
    "LogLoss",
    "Mean",
    "Metric",
    "RankingMetrics",
    "ScoredLists",
    "alpha_dcg",
    "auc",
    "average_precision",
    "grouped_auc",
    "hit_rate",
    "ndcg",
    "precision",
    "precision_ia",
    "recall",
    "reciprocal_rank",
]
