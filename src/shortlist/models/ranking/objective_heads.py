"""The part of a ranker of several objectives after its features: crosses, what is shared, and the heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, FeatureSpace
from shortlist.data.loader import BatchLoader
from shortlist.errors import ConfigError
from shortlist.losses import binary_cross_entropy_with_logits, squared_error
from shortlist.models.ranking.objectives import Objectives
from shortlist.nn.cross import CrossNetwork
from shortlist.nn.experts import PLE, MMoE
from shortlist.nn.mlp import MLP
from shortlist.tasks import MultiTask, Ranking


class ObjectiveHeads(nn.Module):
    """From the features of a candidate to one prediction an objective.

    Args:
        width: of the features, side by side.
        objectives: what is predicted.
        cross_layers: how many times features are crossed before.
        hidden: widths of the layers that are shared, or of each expert.
        dropout: share of the hidden units that training hides.

    Raises:
        ConfigError: there are no hidden layers, or a number is out of range.
    """

    is_click: Tensor
    score_weights: Tensor

    def __init__(
        self, width: int, objectives: Objectives, *, cross_layers: int, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        if not hidden:
            raise ConfigError(
                "a ranker with objectives has nothing to share without hidden layers", remedy="hidden=(64,)"
            )
        losses, names = objectives.losses, list(objectives.losses)
        self.balance = objectives.balance
        self.crosses = CrossNetwork(width, cross_layers) if cross_layers else nn.Identity()
        self.bottom = _bottom(width, objectives, hidden, dropout)
        self.heads = nn.ModuleList(MLP(hidden[-1], (*objectives.head, 1), dropout=dropout) for _ in names)
        # By number: a column may have a name that no module can have.
        self.task = MultiTask(
            {
                str(i): Ranking(
                    loss=squared_error if losses[name] == "rating" else binary_cross_entropy_with_logits
                )
                for i, name in enumerate(names)
            },
            weights={str(names.index(name)): weight for name, weight in objectives.weights.items()},
            balance=objectives.balance,
        )
        clicks = torch.tensor([losses[name] == "click" for name in names])
        self.register_buffer("is_click", clicks, persistent=False)
        counts = torch.tensor([float(objectives.score.get(name, 1.0)) for name in names])
        self.register_buffer("score_weights", counts, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """The logit, or the predicted rating, of each objective.

        Args:
            inputs: `[total, width]`.

        Returns:
            `[total, objectives]`.
        """
        shared = self.bottom(self.crosses(inputs))
        if shared.ndim == 2:  # one representation for all
            shared = shared[:, None].expand(-1, len(self.heads), -1)
        return torch.cat([head(shared[:, i]) for i, head in enumerate(self.heads)], dim=1)

    def score(self, inputs: Tensor) -> Tensor:
        """The weighted sum of the clicks' probabilities and the ratings.

        Args:
            inputs: `[total, width]`.

        Returns:
            `[total]`.
        """
        predictions = self(inputs)
        values = torch.where(self.is_click, torch.sigmoid(predictions), predictions)
        return values @ self.score_weights

    def compute_loss(
        self, inputs: Tensor, labels: Tensor, *, weights: Tensor, encoders: Iterable[Tensor]
    ) -> Tensor:
        """The loss of a batch; each event counts for the objectives that it has a label of.

        Args:
            inputs: `[total, width]`.
            labels: `[total, objectives]`, NaN where there is none.
            weights: `[total]` of the events.
            encoders: the parameters of the features' embeddings.
        """
        predictions, known = self(inputs), ~labels.isnan() & (weights > 0)[:, None]
        parts = {
            str(i): {
                "predictions": predictions[rows, i],
                "labels": labels[rows, i],
                "sample_weight": weights[rows],
            }
            if bool(rows.any())
            else None
            for i, rows in enumerate(known.T)
        }
        return self.task(parts, shared=self._shared(encoders))  # type: ignore[no-any-return]

    def _shared(self, encoders: Iterable[Tensor]) -> list[Tensor]:
        """What several objectives move; for norms the last shared layers do, at a part of the cost."""
        bottom = self.bottom
        last = bottom.parameters() if isinstance(bottom, MLP) else bottom.shared_parameters()
        if self.balance != "pcgrad":
            return list(last)
        return [*encoders, *self.crosses.parameters(), *last]


class ObjectiveLoader(BatchLoader):
    """The events that have a label of some objective; batches hold `labels`, `[batch, objectives]`.

    Args:
        dataset: the events.
        space: which features a batch holds.
        objectives: whose labels.
        batch_size: events a batch.
        seed: of the order.
    """

    def __init__(
        self,
        dataset: Dataset,
        space: FeatureSpace,
        objectives: Objectives,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self.targets = objectives.labels(dataset)
        counts = torch.from_numpy(dataset.is_label & (dataset.weights > 0))
        rows = (counts & ~self.targets.isnan().all(dim=1)).nonzero().flatten()
        super().__init__(dataset, space, batch_size=batch_size, rows=rows, seed=seed)

    def batch(self, rows: Tensor) -> Batch:
        """The batch of some events.

        Args:
            rows: `[batch]` int64 event rows.
        """
        return super().batch(rows) | {"labels": self.targets[rows]}


def _bottom(width: int, objectives: Objectives, hidden: Sequence[int], dropout: float) -> MLP | MMoE | PLE:
    tasks, experts = len(objectives.losses), objectives.experts
    match objectives.sharing:
        case "shared_bottom":
            return MLP(width, hidden, dropout=dropout, final_activation="relu")
        case "mmoe":
            return MMoE(width, hidden, tasks=tasks, experts=experts, dropout=dropout)
        case "ple":
            return PLE(
                width, hidden, tasks=tasks, task_experts=experts, shared_experts=experts, dropout=dropout
            )
