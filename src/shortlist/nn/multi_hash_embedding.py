"""Many ids in a small table: each is a weighted sum of the rows that several hash functions give it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.kernels.tables import mean_factors
from shortlist.nn.embedding import Embedding, pool_sum
from shortlist.nn.hashed_rows import hashed_rows


class MultiHashEmbedding(nn.Module):
    """An embedding of any number of ids from a table of a few rows, as for a small device.

    Each id has a row by each of several hash functions, and a learned number for each, its importance. Two
    ids seldom share all their rows, and where they do their importances tell them apart. It takes `buckets *
    dim + rows * hashes` weights (with "concat" the table is narrower by the number of hashes), where an
    `Embedding` takes `rows * dim`, and it has the same interface: index 0, the unknown, is zero.

    Args:
        rows: number of indices, the unknown counted.
        dim: width of an embedding.
        buckets: rows of the table.
        hashes: hash functions; 2 or 3 are enough.
        combine: "sum", or "concat": each function then gives a part of the embedding.
        scale: standard deviation of the initial weights; as `Embedding`.
        sparse: as `Embedding`.
        dtype: of the table, as `Embedding`; the importances are float32.

    Raises:
        ConfigError: there are no buckets or functions, or their parts do not make up `dim`.

    Source: Svenstrup et al., Hash embeddings for efficient word representations (NeurIPS 2017).
    """

    def __init__(
        self,
        rows: int,
        dim: int,
        *,
        buckets: int,
        hashes: int = 2,
        combine: Literal["sum", "concat"] = "sum",
        scale: float | None = None,
        sparse: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check(dim, buckets, hashes, combine)
        self.dim, self.buckets, self.hashes, self.combine = dim, buckets, hashes, combine
        width = dim if combine == "sum" else dim // hashes
        scale = dim**-0.5 if scale is None else scale
        self.table = Embedding(buckets + 1, width, scale=scale, sparse=sparse, dtype=dtype)
        self.importance = Embedding(rows, hashes, sparse=sparse)
        with torch.no_grad():  # the sum of several rows is as long as one of them
            self.importance.weight[1:] = hashes**-0.5 if combine == "sum" else 1.0

    def forward(self, input: Tensor) -> Tensor:
        """`[...]` int64 indices to `[..., dim]`."""
        values = input.reshape(-1)
        if self.combine == "concat":
            rows = self.table(self._rows(values)) * self.importance(values)[..., None]
            return rows.reshape(*input.shape, self.dim)  # type: ignore[no-any-return]
        offsets = torch.arange(len(values) + 1, device=values.device)
        return self.pool_sum(values, offsets).reshape(*input.shape, self.dim)

    def pool_mean(self, values: Tensor, offsets: Tensor) -> Tensor:
        """The mean embedding of each bag, `[bags, dim]`; see `Embedding.pool_mean`."""
        return self.pool_sum(values, offsets, mean_factors(values, offsets))

    def pool_sum(self, values: Tensor, offsets: Tensor, weights: Tensor | None = None) -> Tensor:
        """The sum of the embeddings of each bag, `[bags, dim]`; see `Embedding.pool_sum`."""
        factors = self.importance(values)
        if weights is not None:
            factors = factors * weights[:, None]
        rows = self._rows(values)
        if self.combine == "sum":
            return pool_sum(self.table, rows.reshape(-1), offsets * self.hashes, factors.reshape(-1))
        parts = [
            pool_sum(self.table, rows[:, part].contiguous(), offsets, factors[:, part].contiguous())
            for part in range(self.hashes)
        ]
        return torch.cat(parts, dim=1)

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"dim={self.dim}, buckets={self.buckets}, hashes={self.hashes}, combine={self.combine!r}"

    def _rows(self, values: Tensor) -> Tensor:
        return hashed_rows(values, range(self.hashes), self.buckets)


def _check(dim: int, buckets: int, hashes: int, combine: str) -> None:
    for name, value in (("buckets", buckets), ("hashes", hashes)):
        if value < 1:
            raise ConfigError(f"{name} is {value}", where="MultiHashEmbedding", remedy="pass at least 1")
    if combine not in ("sum", "concat"):
        raise ConfigError(
            f"combine is {combine!r}", where="MultiHashEmbedding", remedy="pass 'sum' or 'concat'"
        )
    if combine == "concat" and dim % hashes:
        raise ConfigError(
            f"{hashes} parts do not make up a width of {dim}",
            where="MultiHashEmbedding",
            remedy="pass a dim that is a multiple of hashes",
        )
