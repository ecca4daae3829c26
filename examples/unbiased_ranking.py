"""Learning from clicks where people look at the top most: made-up users, corrections and estimates."""

from dataclasses import replace

import torch

import shortlist as sl
from shortlist import losses, tasks
from shortlist.datasets import (
    CascadeClicks,
    ClickModel,
    PositionBasedClicks,
    SimulatedClicks,
    simulate_clicks,
)

numbers = torch.Generator().manual_seed(0)

# Judged lists: what is relevant follows from two features, and the present ranker goes by another.
features = torch.randn(2400, 4, generator=numbers)
grades = (features[:, 0] + features[:, 1] + 0.3 * torch.randn(2400, generator=numbers)).clamp(0, 4).round()
judged = sl.datasets.RankingTable(features, grades, torch.arange(0, 2401, 12), tuple(map(str, range(200))))
train, test = judged.take(torch.arange(100)), judged.take(torch.arange(100, 200))
shown_by = train.features @ torch.tensor([0.4, 0.0, 0.6, 0.0])

# People who look at position k with a chance of 1 / k, and others who stop where they found what they wanted.
users: dict[str, ClickModel] = {
    "by position": PositionBasedClicks.falling(8, power=1.5),
    "cascade": CascadeClicks(satisfaction=0.7),
}
for name, user in users.items():
    log: SimulatedClicks = simulate_clicks(train, shown_by, user=user, sessions=2000, shown=8)
    clicks, positions = log.table.labels, log.table.positions
    shares = torch.bincount(positions, clicks) / torch.bincount(positions)
    print(f"{name}: share of clicks from the top", [round(share, 2) for share in shares.tolist()])


def trained(table: sl.datasets.RankingTable, task: torch.nn.Module | None = None) -> sl.models.ListRanker:
    """A linear ranker of clicks or of grades."""
    torch.manual_seed(0)
    ranker = sl.models.ListRanker(sl.nn.UnivariateScorer(4, hidden=()), task=task)
    ranker.fit(table, epochs=10, batch_size=100, learning_rate=0.05)
    print(f"NDCG@5 {ranker.evaluate(test)['ndcg@5']:.3f}")
    return ranker


user = users["by position"]
log = simulate_clicks(train, shown_by, user=user, sessions=2000, shown=8)
print("believing the clicks: ", end="")
trained(log.table)
corrections: list[tasks.UnbiasedRanking] = [
    tasks.DualLearning(8),
    tasks.RegressionEM(8),
    tasks.AdditiveBias(8, dropout=0.1),
]
for task in corrections:
    print(f"{type(task).__name__}: ", end="")
    ranker = trained(log.table, task)
    print("  looked at:", [round(each, 2) for each in ranker.task.propensities().tolist()])
print("seeing the grades: ", end="")
trained(train)

# How much each position is looked at, from a share of sessions in a random order ...
random = simulate_clicks(train, shown_by, user=user, sessions=2000, shown=8, randomised=1.0)
from_random = losses.randomised_propensities(random.table.labels, random.table.positions)
# ... or from items that stood elsewhere under another ranker.
other = simulate_clicks(train, train.features[:, 3], user=user, sessions=2000, shown=8, seed=1)
moved = losses.harvested_propensities(
    torch.cat([log.table.labels, other.table.labels]),
    torch.cat([log.table.positions, other.table.positions]),
    torch.cat([log.documents, other.documents]),
)
print("at random:", from_random, "moved:", moved)

# A ranker learns from weighted clicks, averaged by comparisons, since the weights of one list would cancel.
weights = losses.inverse_propensity_weights(log.table.positions, from_random, most=10)
print("inverse propensities: ", end="")
trained(replace(log.table, item_weights=weights), tasks.ListwiseRanking(average="comparisons"))
