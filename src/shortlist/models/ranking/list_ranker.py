"""A scorer and a task as one model, trained on tables of judged or clicked lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from shortlist.data.feature_space import Batch, dense
from shortlist.data.ragged import Ragged
from shortlist.datasets import RankingTable, RankingTableLoader
from shortlist.errors import ShapeError
from shortlist.metrics import ListRankingMetrics
from shortlist.models.model import TrainingOptions
from shortlist.nn import EnsembleScorer
from shortlist.tasks import ListwiseRanking, UnbiasedRanking
from shortlist.training import TrainingHistory
from shortlist.training import fit as train


class ListRanker(nn.Module):
    """Ranks the items of lists by a scorer of their features.

    Args:
        scorer: from lists of features to lists of scores, such as `nn.UnivariateScorer`. Each member of an
            `nn.EnsembleScorer` gets a loss of its own.
        task: the loss, a `tasks.ListwiseRanking` (by default with the softmax) or, for clicks at known
            positions, an unbiased one such as `tasks.DualLearning`.
    """

    def __init__(self, scorer: nn.Module, *, task: ListwiseRanking | UnbiasedRanking | None = None) -> None:
        super().__init__()
        self.scorer = scorer
        self.task = ListwiseRanking() if task is None else task

    def forward(self, batch: Batch) -> Ragged:
        """The scores of a batch of lists.

        Args:
            batch: see `datasets.RankingTableLoader`.
        """
        return self.scorer(_features(batch))  # type: ignore[no-any-return]

    def compute_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch of lists.

        Args:
            batch: see `datasets.RankingTableLoader`; an unbiased task needs `position`.
        """
        features = _features(batch)
        if isinstance(self.scorer, EnsembleScorer):
            return torch.stack([self._loss(scores, batch) for scores in self.scorer.each(features)]).mean()
        return self._loss(self.scorer(features), batch)

    def fit(
        self,
        table: RankingTable,
        *,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float | None = 1e-3,
        validation: RankingTable | None = None,
        seed: int = 0,
        **options: Unpack[TrainingOptions],
    ) -> TrainingHistory:
        """Train on a table.

        Args:
            table: lists with labels.
            epochs: how often to go through them.
            batch_size: lists a step.
            learning_rate: of the optimizer to be made (Adam by default); None for one that is given.
            validation: lists to evaluate on after each epoch, such as `ndcg@10`; unless `monitor` names
                another, the epoch with the best `ndcg@10` gives the weights.
            seed: of the order of the lists and of dropout; the scorer's first weights are its own.
            **options: see `shortlist.training.fit`.

        Returns:
            Loss, validation metrics and seconds of each epoch.
        """
        if validation is not None:
            options.setdefault("monitor", "ndcg@10")
        return train(
            self,
            RankingTableLoader(table, batch_size=batch_size, seed=seed),
            epochs=epochs,
            learning_rate=learning_rate,
            validate=None if validation is None else lambda: self.evaluate(validation),
            seed=seed,
            **options,
        )

    @torch.no_grad()
    def score(self, table: RankingTable) -> Ragged:
        """The scores of a whole table.

        Args:
            table: lists.

        Returns:
            One row a query, `[documents]` scores on the CPU.
        """
        was_training = self.training
        self.eval()
        features = Ragged(table.features, table.offsets)
        device = next(self.parameters()).device
        scores = self({"features": features.to(device)})
        self.train(was_training)
        return Ragged(scores.values.float().cpu(), table.offsets)

    def evaluate(self, table: RankingTable, *, ks: Sequence[int] = (1, 5, 10)) -> Mapping[str, float]:
        """How well the scores order a table's lists, such as `ndcg@10`.

        Args:
            table: lists with labels.
            ks: cutoffs.
        """
        metrics = ListRankingMetrics(ks=tuple(ks))
        metrics.update(self.score(table), table.labels)
        return metrics.compute()

    def _loss(self, scores: Ragged, batch: Batch) -> Tensor:
        labels, lists = dense(batch, "label"), batch.get("list_weight")
        assert lists is None or isinstance(lists, Tensor)
        if isinstance(self.task, UnbiasedRanking):
            if "position" not in batch:
                raise ShapeError(
                    f"{type(self.task).__name__} corrects for positions, but the table has none",
                    remedy="give the RankingTable positions, the place from 0 at which each item was shown",
                )
            return self.task(scores, labels, dense(batch, "position"), list_weights=lists)  # type: ignore[no-any-return]
        items = batch.get("item_weight")
        return self.task(scores, labels, item_weights=items, list_weights=lists)  # type: ignore[no-any-return]


def _features(batch: Batch) -> Ragged:
    features = batch["features"]
    if not isinstance(features, Ragged):
        raise ShapeError("the batch's features are no lists", remedy="use datasets.RankingTableLoader")
    return features
