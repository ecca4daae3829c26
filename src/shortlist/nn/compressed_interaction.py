"""Products of up to several fields, vector by vector: the compressed interaction network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError


class CompressedInteraction(nn.Module):
    """Products of fields, element by element, compressed after each order into a few vectors.

    Layer k multiplies every vector of the layer before with every field and mixes the products into
    `maps[k]` vectors, which so hold products of `k + 2` fields. The output is the sum of each vector's
    elements.

    Args:
        num_fields: how many embeddings go in.
        maps: how many vectors each layer keeps.

    Raises:
        ConfigError: there is no layer, or a number is not positive.

    Source: Lian et al., xDeepFM (KDD 2018), with all vectors going both to the next layer and out.
    """

    def __init__(self, num_fields: int, maps: Sequence[int]) -> None:
        super().__init__()
        if not maps or min(num_fields, *maps) < 1:
            raise ConfigError(
                f"num_fields is {num_fields} and maps are {list(maps)}",
                where="CompressedInteraction",
                remedy="pass positive numbers, such as maps=(16, 16)",
            )
        self.num_fields, self.out_features = num_fields, sum(maps)
        self.mixes = nn.ModuleList(
            nn.Linear(before * num_fields, after) for before, after in pairwise((num_fields, *maps))
        )

    def forward(self, fields: Tensor) -> Tensor:
        """Multiply and compress.

        Args:
            fields: `[batch, num_fields, dim]` float.

        Returns:
            `[batch, sum(maps)]`.

        Raises:
            ShapeError: there is another number of fields.
        """
        if fields.ndim != 3 or fields.shape[1] != self.num_fields:
            raise ShapeError(
                f"fields are {tuple(fields.shape)}", remedy=f"pass [batch, {self.num_fields}, dim]"
            )
        # With the fields last, a layer's products are the rows of one matrix.
        base = fields.transpose(1, 2)  # [batch, dim, num_fields]
        vectors, sums = base, []
        for mix in self.mixes:
            products = (vectors[:, :, :, None] * base[:, :, None, :]).flatten(2)
            vectors = mix(products)  # [batch, dim, maps]
            sums.append(vectors.sum(dim=1))
        return torch.cat(sums, dim=1)
