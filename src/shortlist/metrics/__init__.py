"""How good it is: streaming metrics with `update`, `compute`, `reset` and `merge`."""

from shortlist.metrics.classification import AUC, Accuracy, GroupedAUC, LogLoss, auc, grouped_auc
from shortlist.metrics.coverage import Coverage
from shortlist.metrics.factorized_top_k import FactorizedTopK
from shortlist.metrics.in_batch import InBatchTopK
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
from shortlist.metrics.streaming import Metric

__all__ = [
    "AUC",
    "RMSE",
    "Accuracy",
    "Coverage",
    "FactorizedTopK",
    "GroupedAUC",
    "InBatchTopK",
    "LogLoss",
    "Mean",
    "Metric",
    "RankingMetrics",
    "auc",
    "average_precision",
    "grouped_auc",
    "hit_rate",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
]
