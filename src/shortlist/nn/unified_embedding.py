"""One table for many features."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, did_you_mean
from shortlist.nn.embedding import Embedding, pool_mean, pool_sum
from shortlist.nn.hashed_rows import hashed_rows


class UnifiedEmbedding(nn.Module):
    """The embeddings of several features in one table that they share, as for a small device.

    Each feature looks its indices up by hash functions of its own, one or several, and what they give is put
    side by side: a feature of more lookups has a wider embedding and fewer collisions. Frequent values of one
    feature collide with rare ones of others, which costs little, and one size serves all instead of one a
    feature.

    Args:
        buckets: rows of the table.
        dim: width of a row.
        features: number of lookups of each feature, by its name; its embedding is `lookups * dim` wide.
        scale: standard deviation of the initial weights; as `Embedding`.
        sparse: as `Embedding`.
        dtype: as `Embedding`.

    Raises:
        ConfigError: there are no buckets or features, or a feature has no lookup.

    Source: Coleman et al., Unified Embedding: battle-tested feature representations for web-scale ML systems
    (NeurIPS 2023).
    """

    def __init__(
        self,
        buckets: int,
        dim: int,
        *,
        features: Mapping[str, int],
        scale: float | None = None,
        sparse: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if buckets < 1 or not features or min(features.values()) < 1:
            raise ConfigError(
                f"buckets is {buckets} and features is {dict(features)}",
                where="UnifiedEmbedding",
                remedy="pass at least one bucket, one feature and one lookup of each",
            )
        self.dim, self.buckets, self.features = dim, buckets, dict(features)
        self.table = Embedding(buckets + 1, dim, scale=scale, sparse=sparse, dtype=dtype)

    def out_features(self, feature: str) -> int:
        """The width of a feature's embedding.

        Args:
            feature: one of the names.
        """
        return self._lookups(feature) * self.dim

    def forward(self, input: Tensor, feature: str) -> Tensor:
        """`[...]` int64 indices of a feature to `[..., lookups * dim]`; zero for index 0, the unknown."""
        return self.table(self._rows(input, feature)).flatten(-2)  # type: ignore[no-any-return]

    def pool_mean(self, values: Tensor, offsets: Tensor, feature: str) -> Tensor:
        """The mean embedding of each bag, `[bags, lookups * dim]`; see `Embedding.pool_mean`."""
        rows = self._rows(values, feature)
        return torch.cat(
            [pool_mean(self.table, each.contiguous(), offsets) for each in rows.unbind(1)], dim=1
        )

    def pool_sum(
        self, values: Tensor, offsets: Tensor, feature: str, weights: Tensor | None = None
    ) -> Tensor:
        """The sum of the embeddings of each bag, `[bags, lookups * dim]`; see `Embedding.pool_sum`."""
        rows = self._rows(values, feature)
        parts = [pool_sum(self.table, each.contiguous(), offsets, weights) for each in rows.unbind(1)]
        return torch.cat(parts, dim=1)

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"dim={self.dim}, buckets={self.buckets}, features={self.features}"

    def _lookups(self, feature: str) -> int:
        if feature not in self.features:
            raise ConfigError(
                f"feature {feature!r} is unknown",
                where="UnifiedEmbedding",
                remedy=did_you_mean(feature, self.features),
            )
        return self.features[feature]

    def _rows(self, values: Tensor, feature: str) -> Tensor:
        # By the name: a feature keeps its rows when others come and go.
        first = zlib.crc32(feature.encode()) << 16
        return hashed_rows(values, range(first, first + self._lookups(feature)), self.buckets)
