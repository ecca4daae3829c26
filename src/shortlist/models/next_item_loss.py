"""What the next item of a sequence is told apart from: the catalogue, items drawn, or its batch's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shortlist.errors import ConfigError, did_you_mean
from shortlist.losses import (
    full_softmax,
    generalised_binary_cross_entropy,
    in_batch_softmax,
    sampled_scores,
    weighted_mean,
)
from shortlist.losses.retrieval.fused_softmax import Precision, check_precision
from shortlist.nn.embedding import Embedding

Loss = Literal["full", "sampled", "in_batch"]
LOSSES: tuple[Loss, ...] = ("full", "sampled", "in_batch")


@dataclass(frozen=True)
class NextItemLoss:
    """The loss of what follows events, by the dot products of queries with items.

    Args:
        kind: as `loss` of `Sequential`.
        negatives: items that the sampled loss draws for each batch.
        calibration: of the sampled loss, from 0 to 1.
        precision: of the products of a softmax.

    Raises:
        ConfigError: the kind or the precision is unknown, or a number is out of range.
    """

    kind: Loss
    negatives: int
    calibration: float
    precision: Precision

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise ConfigError(f"loss {self.kind!r} is unknown", remedy=did_you_mean(self.kind, LOSSES))
        if self.negatives < 1:
            raise ConfigError(f"negatives must be at least 1, got {self.negatives}", remedy="such as 256")
        if not 0 <= self.calibration <= 1:
            raise ConfigError(
                f"calibration must be from 0 to 1, got {self.calibration}", remedy="such as 0.75"
            )
        check_precision(self.precision)

    def __call__(
        self,
        queries: Tensor,
        targets: Tensor,
        *,
        items: Embedding,
        item_probability: Tensor,
        sample_weight: Tensor,
    ) -> Tensor:
        """The mean loss of a batch.

        Args:
            queries: `[batch, dim]` float32.
            targets: `[batch]` int64 items that followed.
            items: the table of all items, of which row 0 is the unknown.
            item_probability: `[num_items + 1]` how likely each is to be a target.
            sample_weight: `[batch]` how much each counts.

        Returns:
            Scalar.
        """
        match self.kind:
            case "full":  # row 0, the unknown, is no candidate
                return full_softmax(
                    queries,
                    items.weight[1:],
                    targets - 1,
                    reduction="mean",
                    sample_weight=sample_weight,
                    precision=self.precision,
                )
            case "sampled":
                return weighted_mean(self._sampled(queries, targets, items), sample_weight)
            case _:
                return in_batch_softmax(
                    queries,
                    items(targets),
                    candidate_ids=targets,
                    sampling_probability=item_probability[targets],
                    one_embedding_per_id=True,
                    reduction="mean",
                    sample_weight=sample_weight,
                    precision=self.precision,
                )

    def _sampled(self, queries: Tensor, targets: Tensor, items: Embedding) -> Tensor:
        num_items = items.num_embeddings - 1
        drawn = torch.randint(1, num_items + 1, (self.negatives,), device=targets.device)
        positive, negative = sampled_scores(
            queries, items(targets), items(drawn), positive_ids=targets, negative_ids=drawn
        )
        return generalised_binary_cross_entropy(
            positive, negative, num_items=num_items, calibration=self.calibration
        )
