"""Products of pairs of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DotInteraction(nn.Module):
    """Dot products of all pairs of feature embeddings, as in DLRM.

    Args:
        self_interaction: whether each embedding's product with itself is among them.
        skip_gather: return the whole square, zeros above the diagonal, which some accelerators prefer.

    Source: Naumov et al., Deep learning recommendation model (2019).
    """

    def __init__(self, *, self_interaction: bool = False, skip_gather: bool = False) -> None:
        super().__init__()
        self.self_interaction, self.skip_gather = self_interaction, skip_gather

    def forward(self, embeddings: Tensor) -> Tensor:
        """Products of pairs.

        Args:
            embeddings: `[batch, features, dim]`.

        Returns:
            `[batch, pairs]`: the lower triangle, row by row; with `skip_gather` the whole square with zeros.
        """
        products = embeddings @ embeddings.transpose(1, 2)
        features = embeddings.shape[1]
        mask = torch.ones(features, features, dtype=torch.bool, device=embeddings.device)
        mask = mask.tril(0 if self.self_interaction else -1)
        if self.skip_gather:
            return (products * mask).flatten(1)
        return products[:, mask]
