"""Candidates of earlier batches, kept as negatives for later ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError

_BUFFERS = ("embeddings", "ids", "probability")


class Candidates(NamedTuple):
    """What the queries of a batch choose from.

    Args:
        embeddings: `[n, dim]` float.
        ids: `[n]` int64 of the items, or None where ids do not matter.
        probability: `[n]` float32, each item's chance to be among the candidates, or None.
        score_mask: `[batch, n]` bool, True where one counts, or None.
    """

    embeddings: Tensor
    ids: Tensor | None
    probability: Tensor | None
    score_mask: Tensor | None


class NegativeQueue(nn.Module):
    """The last embeddings that went through it, the oldest first.

    The weights change little from step to step, so what a candidate was embedded to a few batches ago is
    still about right, and costs nothing to compute: many more negatives than a batch holds. No gradient
    flows into them. The state lies in buffers, so it is saved with the model; it takes no room at first.

    Args:
        size: how many embeddings are kept; a few batches' worth.

    Raises:
        ConfigError: the size is negative.

    Source: Wang et al., Cross-batch memory for embedding learning (CVPR 2020); Wang et al., Cross-batch
    negative sampling for training two-tower recommenders (SIGIR 2021).
    """

    embeddings: Tensor
    ids: Tensor
    probability: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 0:
            raise ConfigError(f"size is {size}", where="NegativeQueue", remedy="keep 0 or more embeddings")
        self.size = size
        saved = size > 0  # a queue that never holds anything leaves no trace in files
        self.register_buffer("embeddings", torch.zeros(0, 0), persistent=saved)
        self.register_buffer("ids", torch.zeros(0, dtype=torch.int64), persistent=saved)
        self.register_buffer("probability", torch.zeros(0), persistent=saved)

    def __len__(self) -> int:
        """How many embeddings it holds now."""
        return len(self.ids)

    @torch.no_grad()
    def push(self, embeddings: Tensor, ids: Tensor, probability: Tensor) -> None:
        """Keep some embeddings, and drop the oldest beyond the size.

        Args:
            embeddings: `[n, dim]` float.
            ids: `[n]` int64 of the items.
            probability: `[n]` float32, each item's chance to be in a batch.

        Raises:
            ShapeError: the arguments do not fit together, or are of another width than what it holds.
        """
        count = len(embeddings)
        if embeddings.ndim != 2 or ids.shape != (count,) or probability.shape != (count,):
            raise ShapeError(
                f"embeddings {tuple(embeddings.shape)} do not go with ids {tuple(ids.shape)} and "
                f"probabilities {tuple(probability.shape)}",
                remedy="pass [n, dim], [n] and [n]",
            )
        if len(self) and embeddings.shape[1] != self.embeddings.shape[1]:
            raise ShapeError(
                f"the queue holds embeddings {self.embeddings.shape[1]} wide, not {embeddings.shape[1]}",
                remedy="call clear() first, or use one queue a tower",
            )
        if not len(self):
            self.embeddings = self.embeddings.new_zeros(0, embeddings.shape[1])
        for name, new in zip(_BUFFERS, (embeddings, ids, probability), strict=True):
            held: Tensor = getattr(self, name)
            new = new.detach().to(embeddings.device, held.dtype)
            setattr(
                self, name, torch.cat([held.to(new.device), new])[max(len(held) + count - self.size, 0) :]
            )

    def extend(self, candidates: Candidates, batch: int) -> Candidates:
        """Put what is held below a batch's candidates, and keep the batch's own for later.

        Args:
            candidates: of the batch.
            batch: how many of them, from the first on, are the batch's own.
        """
        embeddings, ids, probability, mask = candidates
        held = self.embeddings, self.ids, self.probability
        count, own = len(self), embeddings[:batch]
        self.push(
            own,
            ids[:batch] if ids is not None else torch.zeros(len(own), dtype=torch.int64),
            probability[:batch] if probability is not None else torch.ones(len(own)),
        )
        if not count:
            return candidates
        return Candidates(
            torch.cat([embeddings, held[0].to(embeddings.dtype)]),
            None if ids is None else torch.cat([ids, held[1]]),
            None if probability is None else torch.cat([probability, held[2]]),
            None if mask is None else functional.pad(mask, (0, count), value=True),
        )

    def clear(self) -> None:
        """Forget everything."""
        for name in _BUFFERS:
            held: Tensor = getattr(self, name)
            setattr(self, name, held[:0])

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"size={self.size}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # A saved state holds as many embeddings as had gone through by then.
        for name in _BUFFERS:
            saved, held = state_dict.get(f"{prefix}{name}"), getattr(self, name)
            if saved is not None and saved.ndim == held.ndim and len(saved) <= self.size:
                setattr(self, name, held.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
