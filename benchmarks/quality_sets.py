"""Two towers that learn from whole users: some of a user's items are the history, the others what to predict.

Where the order of events is unknown, an event's history is all the user's other events, and a batch of
events embeds nearly the same histories again and again. Here a user is one row with many items to predict,
so an epoch is one pass over the users: Gowalla's takes seconds, and towers can be as wide as pays there.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

import shortlist as sl
from benchmarks.quality_filter import singular_vectors
from shortlist.data import Requests
from shortlist.data.feature_space import Batch, FeatureSpace, dense
from shortlist.losses import MASKED_SCORE
from shortlist.nn import HistoryEncoder


class SetTowers(sl.TwoTower):
    """A `TwoTower` that learns from the batches of a `SetLoader`.

    Every item to predict stands against the other items of the batch that are none of its user's, by softmax
    with the correction for how likely an item is to be in a batch.
    """

    def compute_loss(self, batch: Batch) -> Tensor:
        """The mean over the items to predict; an item of a user with n of them weighs `n ** -0.5`."""
        rows, lengths = dense(batch, "row"), dense(batch, "length")
        items, column = torch.unique(dense(batch, "item_index"), return_inverse=True)
        queries = self.query(batch) / self.task.temperature
        candidates = self.candidate(self.fitted_space().candidate_batch(items))
        others = self._others(queries, candidates, items, batch)
        positives = (queries[rows] * candidates[column]).sum(1)
        losses = functional.softplus(others[rows] - positives)  # -log(e^p / (e^p + sum of e^other))
        return sl.losses.weighted_mean(losses, lengths[rows] ** -0.5)

    def _others(self, queries: Tensor, candidates: Tensor, items: Tensor, batch: Batch) -> Tensor:
        """`[users]` log-sum of the exponential scores of the items that are none of the user's."""
        expected = self.item_probability[items] * len(dense(batch, "item_index"))
        scores = torch.addmm(-torch.log(-torch.expm1(-expected)), queries, candidates.T)
        seen = batch["seen"]
        assert isinstance(seen, sl.Ragged)
        column = torch.searchsorted(items, seen.values).clamp_(max=len(items) - 1)
        inside = items[column] == seen.values
        hidden = torch.zeros(scores.shape, dtype=torch.bool)
        hidden[seen.row_ids()[inside], column[inside]] = True
        return scores.masked_fill(hidden, MASKED_SCORE).logsumexp(1)


class SetLoader:
    """Batches of users, whose items are divided anew in every epoch.

    Args:
        data: the train part.
        space: which features a batch holds.
        batch_size: users a batch.
        kept: smallest and largest share of a user's items that are the history; each user draws a share.
        seed: the batches of an epoch depend on this and on the epoch's number alone.
    """

    def __init__(
        self,
        data: sl.Dataset,
        space: FeatureSpace,
        *,
        batch_size: int,
        kept: tuple[float, float] = (0.2, 0.6),
        seed: int = 0,
    ) -> None:
        self.space, self.batch_size, self.kept, self.seed = space, batch_size, kept, seed
        self.seen = data.seen
        self.people = (self.seen.lengths > 1).nonzero()[:, 0]

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.people) // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Go through all users once.

        Args:
            number: the epoch's number, from 0.
            start: first batch.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = self.people[torch.randperm(len(self.people), generator=generator)]
        for place, people in enumerate(order.split(self.batch_size)):
            batch = self._batch(self.seen.take(people), generator)
            if place >= start:
                yield batch

    def _batch(self, seen: sl.Ragged, generator: torch.Generator) -> Batch:
        rows, (low, high) = seen.row_ids(), self.kept
        share = low + (high - low) * torch.rand(len(seen), generator=generator)
        kept = torch.rand(len(rows), generator=generator) < share[rows]
        lengths = torch.bincount(rows[kept], minlength=len(seen))
        history = sl.Ragged.from_lengths(seen.values[kept], lengths)
        target = ~kept & (lengths[rows] > 0)
        row = rows[target]
        count = torch.bincount(row, minlength=len(seen)).clamp(min=1).float()
        batch = self.space.query_batch(Requests.from_history(history))
        return {**batch, "item_index": seen.values[target], "row": row, "length": count, "seen": seen}


def start_from_factors(model: SetTowers, data: sl.Dataset, *, seed: int) -> None:
    """Let both tables begin with the leading singular vectors of the user-item matrix, scaled to length 1.

    The matrix is divided by the roots of the users' and of the items' numbers of events, and an item's weight
    in a history begins as its vector's length over the root of its number of events. So histories begin as
    those of a low-pass filter on the graph of users and items (Shen et al., How powerful is graph convolution
    for recommendation?, CIKM 2021).
    """
    model.build(data, seed=seed)
    query, candidate = model.query.encoders["0"], model.candidate.encoders["0"]
    assert isinstance(query, HistoryEncoder)
    vectors, _, counts = singular_vectors(data, model.query.dim, seed=seed)
    lengths = vectors.norm(dim=1)
    weights = (lengths.clamp(min=1e-4) * counts.clamp(min=1) ** -0.5).log()
    with torch.no_grad():
        for table in (query.embedding, candidate.embedding):
            table.weight.copy_(functional.normalize(vectors, dim=1)[: len(table.weight)])
        query.item_score.copy_((weights - weights.mean())[: len(query.item_score)])
    # Where an item stands in a set means nothing, and the filter's weights of the items serve as they are.
    query.distance_score.requires_grad_(False)
    query.item_score.requires_grad_(False)
