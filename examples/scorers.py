"""Scorers of lists: one item by itself, groups, attention, readable curves, and the mean of several."""

import torch

import shortlist as sl
from shortlist.nn import (
    AdditiveScorer,
    AttentionScorer,
    EnsembleScorer,
    FeatureCurve,
    GroupwiseScorer,
    UnivariateScorer,
)

torch.manual_seed(0)
numbers = torch.Generator().manual_seed(0)

# Lists of 4 to 12 items. The grade falls with the distance of a price from 3, and the rest is chance.
lengths = torch.randint(4, 13, (300,), generator=numbers)
features = torch.randn(int(lengths.sum()), 3, generator=numbers) + torch.tensor([3.0, 0.0, 0.0])
grades = (2.5 - 2 * (features[:, 0] - 3).abs()).clamp(0, 2).round()
lists = sl.Ragged.from_lengths(features, lengths)
table = sl.datasets.RankingTable(
    features, grades, lists.offsets, tuple(map(str, range(300))), ("price", "a", "b")
)
train, validation, test = (table.take(torch.arange(first, first + 100)) for first in (0, 100, 200))

scorers = {
    "each item by itself": UnivariateScorer(3, hidden=(16,)),
    "pairs": GroupwiseScorer(3, hidden=(16,)),
    "attention": AttentionScorer(3, dim=8, hidden=(16,)),
    "a sum of curves": AdditiveScorer(3),
    "the mean of three": EnsembleScorer([UnivariateScorer(3, hidden=(16,)) for _ in range(3)]),
}
for name, scorer in scorers.items():
    ranker = sl.models.ListRanker(scorer, task=sl.tasks.ListwiseRanking(loss=sl.losses.xe_ndcg))
    history = ranker.fit(train, epochs=12, learning_rate=0.02, validation=validation)
    print(f"{name:20} epoch {history.best_epoch:2}  NDCG@5 {ranker.evaluate(test)['ndcg@5']:.3f}")

# What each feature adds to the score at each of its values: ready to be plotted.
curves: list[FeatureCurve] = scorers["a sum of curves"].curves(test.batch()["features"], points=9)
for curve in curves:
    points = zip(curve.values.tolist(), curve.contributions.tolist(), strict=True)
    print(table.columns[curve.column], *(f"{value:.1f}:{height:+.2f}" for value, height in points))
