"""Second-order interactions between embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from shortlist.errors import ShapeError


class DotInteraction(nn.Module):
    """The inner products of each pair of feature embeddings.

    Args:
        self_interaction: whether each feature's product with itself belongs to the output.
        skip_gather: keep the whole matrix, zeros above the diagonal, instead of picking the pairs out:
            wider, but free of gathers, which suits some accelerators.

    Source: Naumov et al., Deep learning recommendation model (2019).
    """

    def __init__(self, *, self_interaction: bool = False, skip_gather: bool = False) -> None:
        super().__init__()
        self.self_interaction = self_interaction
        self.skip_gather = skip_gather

    def out_features(self, num_features: int) -> int:
        """Width of the output.

        Args:
            num_features: how many embeddings go in.

        Returns:
            `F²` when the whole matrix is kept, else the number of pairs.
        """
        if self.skip_gather:
            return num_features**2
        return num_features * (num_features + (1 if self.self_interaction else -1)) // 2

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        """Multiply every pair.

        Args:
            features: `[batch, F, dim]` float, or F tensors of `[batch, dim]`.

        Returns:
            `[batch, out_features(F)]`: the lower triangle row by row, `(1, 0), (2, 0), (2, 1), …`.

        Raises:
            ShapeError: there are no features or their shapes differ.
        """
        stacked = features if isinstance(features, Tensor) else _stack(features)
        if stacked.ndim != 3:
            raise ShapeError(
                f"features are {tuple(stacked.shape)}", remedy="pass [batch, features, dim] or [batch, dim]s"
            )
        products = stacked @ stacked.mT
        diagonal = 0 if self.self_interaction else -1
        if self.skip_gather:
            return products.tril(diagonal).flatten(1)
        rows, columns = torch.tril_indices(
            stacked.shape[1], stacked.shape[1], diagonal, device=stacked.device
        ).unbind()
        return products[:, rows, columns]


def _stack(features: Sequence[Tensor]) -> Tensor:
    shapes = {tuple(feature.shape) for feature in features}
    if len(shapes) != 1:
        raise ShapeError(
            f"{len(features)} features have shapes {sorted(shapes)}", remedy="give all of them one width"
        )
    return torch.stack(list(features), dim=1)


def pairwise_sum(fields: Tensor) -> Tensor:
    """The sum of the inner products of all pairs of fields, in linear time: a factorisation machine's.

    Args:
        fields: `[batch, num_fields, dim]` float.

    Returns:
        `[batch]`: `sum_{i<j} <field_i, field_j>`.

    Raises:
        ShapeError: the fields have another number of dimensions.

    Source: Rendle, Factorization machines (ICDM 2010).
    """
    if fields.ndim != 3:
        raise ShapeError(f"fields are {tuple(fields.shape)}", remedy="pass [batch, fields, dim]")
    return 0.5 * (fields.sum(dim=1).square() - fields.square().sum(dim=1)).sum(dim=1)
