"""Metrics: functions of a list, and streams that are updated, computed, reset and merged."""

import torch

import shortlist as sl
from shortlist import metrics

# Lists of item indices, best first, 0 where a list has ended; and what each user wanted.
ranked = torch.tensor([[5, 2, 9, 1], [4, 5, 0, 0]])
wanted = sl.Ragged.from_lists([[2, 9], [7]])
for metric in (
    metrics.hit_rate,
    metrics.recall,
    metrics.precision,
    metrics.ndcg,
    metrics.reciprocal_rank,
    metrics.average_precision,
):
    print(f"{metric.__name__:18}", metric(ranked, wanted, k=3).tolist())

lists, reach = metrics.RankingMetrics(ks=(1, 3)), metrics.Coverage(num_items=10, ks=(3,))
for row in range(2):
    lists.update(ranked[row : row + 1], wanted.take(torch.tensor([row])))
    reach.update(ranked[row : row + 1])
print(lists.compute() | reach.compute())

# One true candidate among the whole catalogue. Ties are exact: equal scores give a hit rate of k/n.
tied = metrics.FactorizedTopK(torch.ones(100, 4), torch.arange(1, 101), ks=(10,))
tied.update(torch.ones(3, 4), torch.tensor([1, 50, 100]))
print("all tied:", tied.compute())

# Clicks.
scores, clicks = torch.tensor([0.9, 0.7, 0.4, 0.2]), torch.tensor([1.0, 0, 1, 0])
users = torch.tensor([1, 1, 2, 2])
print("AUC:", metrics.auc(scores, clicks), "by user:", metrics.grouped_auc(scores, clicks, users))
stream: list[metrics.Metric] = [metrics.AUC(), metrics.LogLoss(), metrics.Accuracy(), metrics.RMSE()]
for metric in stream:
    metric.update(scores, clicks)
    print(metric.compute())
by_user = metrics.GroupedAUC()
by_user.update(scores, clicks, groups=users)
print(by_user.compute())

# What two processes have seen is merged, not averaged.
here, there = metrics.Mean("score"), metrics.Mean("score")
here.update(scores[:1])
there.update(scores[1:])
here.merge(there)
print(here.compute())

in_batch = metrics.InBatchTopK(ks=(1,))
in_batch.update(torch.tensor([[3.0, 1.0], [2.0, 0.5]]), torch.eye(2))
print(in_batch.compute())
