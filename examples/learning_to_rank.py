"""Learning to rank: lists of items with labels, a loss over lists, a model of your own, its metrics."""

from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
import torch

import shortlist as sl
from shortlist import losses, metrics

torch.manual_seed(0)
numbers = torch.Generator().manual_seed(0)

# Lists of 3 to 12 documents with 5 features; the label, 0 to 3, follows from two of them and some chance.
lengths = torch.randint(3, 13, (400,), generator=numbers)
total = int(lengths.sum())
features = torch.randn(total, 5, generator=numbers)
noise = torch.randn(total, generator=numbers)
labels = (features[:, 0] + features[:, 1] ** 2 + 0.3 * noise).clamp(0, 3).round()

# A plain table, one row a document; the column that groups need not be sorted.
frame = pl.DataFrame({f"f{i}": features[:, i].numpy() for i in range(5)}).with_columns(
    query=pl.Series(torch.arange(400).repeat_interleave(lengths).numpy()), label=pl.Series(labels.numpy())
)
table = sl.datasets.ranking_table(
    frame.sample(fraction=1, shuffle=True, seed=0), query="query", label="label"
)
# Each feature also as its place among the list's own: what a document is beside the others.
table = table.with_relative_features()
print(table.columns, sl.data.relative_to_list(table.batch()["features"]).shape)
train, test = table.take(torch.arange(300)), table.take(torch.arange(300, 400))

# A table of one row a list: the context's columns, and a column of lists of items.
path = Path(mkdtemp()) / "lists.parquet"
pl.DataFrame(
    {
        "hour": [9, 21],
        "documents": [[{"price": 2.5, "click": 1}, {"price": 9.0, "click": 0}], [{"price": 4.0, "click": 1}]],
    }
).write_parquet(path)
clicks = sl.datasets.ranking_lists(path, items="documents", label="click", context=["hour"])
print(clicks.columns, clicks.features.tolist(), clicks.offsets.tolist())


class Scorer(torch.nn.Module):
    """Each document's score from its own features."""

    def __init__(self, task: sl.tasks.ListwiseRanking) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(15, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
        self.task = task

    def forward(self, batch: dict) -> sl.data.Ragged:
        """The scores of all lists."""
        documents = batch["features"]
        return sl.data.Ragged(self.layers(documents.values).squeeze(1), documents.offsets)

    def compute_loss(self, batch: dict) -> torch.Tensor:
        """The loss of a batch of lists."""
        return self.task(self(batch), batch["label"])


lambda_loss = partial(losses.pairwise_logistic, lambda_weight=losses.DCGWeight(top_n=10))
for name, loss in {"softmax": losses.softmax, "LambdaLoss": lambda_loss}.items():
    model = Scorer(sl.tasks.ListwiseRanking(loss=loss))
    loader = sl.datasets.RankingTableLoader(train, batch_size=32)
    sl.training.fit(model, loader, epochs=5, learning_rate=1e-2, progress=False)
    with torch.no_grad():
        scores = model(test.batch())
    means = metrics.ListRankingMetrics(ks=(1, 5))
    means.update(scores, test.labels)
    print(name, {figure: round(value, 3) for figure, value in means.compute().items()})

# One number a list; ties count as expected under a random order.
judged = metrics.ScoredLists(scores, test.labels)
print("NDCG@5:", judged.ndcg(k=5)[:4], "ERR:", judged.expected_reciprocal_rank(highest_label=3)[:4])
subtopics = (features[: len(test.labels), :2] > 0).float()
print("alpha-DCG:", metrics.alpha_dcg(scores, subtopics, k=5)[:3])
print("precision, intent-aware:", metrics.precision_ia(scores, subtopics, k=5)[:3])

# Every loss answers one value a list and how much there was to compare.
lists, grades = sl.data.Ragged.from_lists([[2.0, 0.5, 1.0], [0.3, 0.9]], dtype=torch.float32), [1, 0, 3, 1, 0]
marks = torch.tensor(grades, dtype=torch.float32)
found: losses.ListLosses = losses.softmax(lists, marks, poly_epsilon=1.0)
print(found.values, found.weights, found.mean(), found.list_mean(), found.total())
weights: list[losses.LambdaWeight] = [
    losses.LabelDifferenceWeight(),
    losses.PrecisionWeight(2),
    losses.DCGWeight(smooth_fraction=1.0),  # LambdaRank
    losses.DCGWeight(gain=losses.linear_gain, discount=losses.reciprocal_discount, normalized=False),
    losses.DCGWeight(gain=losses.exponential_gain, discount=losses.logarithmic_discount),  # the default
]
for weight in weights:
    print(weight, losses.pairwise_logistic(lists, marks, lambda_weight=weight).values)
for loss in (
    losses.pairwise_hinge,
    losses.pairwise_soft_zero_one,
    losses.pairwise_squared,
    losses.list_net,
    losses.list_mle,
    losses.unique_softmax,
    losses.calibrated_softmax,
    losses.approx_ndcg,
    losses.approx_mrr,
    losses.neural_sort_cross_entropy,
    losses.neural_sort_ndcg,
    losses.mean_squared,
    losses.circle,
):
    print(loss.__name__, loss(lists, marks).values)
for loss in (losses.gumbel_approx_ndcg, losses.yeti_logistic, losses.coupled_rank_distil, losses.xe_ndcg):
    print(loss.__name__, loss(lists, marks, generator=numbers).values)

# Losses of models with several numbers an item.
two, clicked = sl.data.Ragged(torch.randn(5, 2), lists.offsets), (marks > 0).float()
print("examination and relevance:", losses.click_em(two, clicked).values)
print("a mixture of two models:", losses.mixture_em(two, clicked).values)
three = sl.data.Ragged(torch.randn(5, 3), lists.offsets)
print("at least 1, 2, 3:", losses.ordinal(three, marks).values)
print("one of 3 classes:", losses.multi_class(three, clicked).values)
print("clicks:", losses.sigmoid_cross_entropy(lists, clicked).values)
