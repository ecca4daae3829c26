"""One encoder a kind of feature: from an entry of the batch to `[batch, dim]`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.data.encodings import Encoding
from shortlist.data.features import Feature, History, Vector
from shortlist.data.ragged import Ragged
from shortlist.nn.embedding import Embedding, pool_mean, pool_sum
from shortlist.nn.target_attention import TargetHistoryEncoder


class IndexEncoder(nn.Module):
    """An embedding row for each index: ids, categories, buckets of numbers.

    Args:
        rows: number of indices, the unknown counted.
        dim: width of the output.
        sparse: as `Embedding`.
        dtype: as `Embedding`.
    """

    def __init__(
        self, rows: int, dim: int, *, sparse: bool = False, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.embedding = Embedding(rows, dim, sparse=sparse, dtype=dtype)
        self.dim = dim

    def forward(self, values: Tensor) -> Tensor:
        """`[batch]` int64 to `[batch, dim]`."""
        return self.embedding(values)  # type: ignore[no-any-return]


class BagEncoder(nn.Module):
    """The mean embedding of several indices a row: words of a text, tags.

    Args:
        rows: number of indices, the unknown counted.
        dim: width of the output.
        sparse: as `Embedding`.
        dtype: as `Embedding`.
    """

    def __init__(
        self, rows: int, dim: int, *, sparse: bool = False, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.embedding = Embedding(rows, dim, sparse=sparse, dtype=dtype)
        self.dim = dim

    def forward(self, values: Ragged) -> Tensor:
        """Bags of int64 to `[batch, dim]`."""
        return pool_mean(self.embedding, values.values, values.offsets)


class DenseEncoder(nn.Module):
    """Numbers as they are: standardised values, parts of a moment, ready-made embeddings.

    Args:
        width: numbers a row.
        dim: width of the output; None passes the numbers on.
    """

    def __init__(self, width: int, dim: int | None = None) -> None:
        super().__init__()
        self.projection = nn.Identity() if dim is None else nn.Linear(width, dim)
        self.dim = width if dim is None else dim

    def forward(self, values: Tensor) -> Tensor:
        """`[batch, width]` to `[batch, dim]`."""
        return self.projection(values)  # type: ignore[no-any-return]


class HistoryEncoder(nn.Module):
    """The mean, or a learned weighted mean, of the embeddings of what the user did before.

    With attention, the weight of an event is a softmax over the history of a score that the event's item and
    its distance from the end each add to: what was done last tends to count most, and some items say more
    about a user than others.

    Args:
        rows: number of item indices, the unknown counted.
        dim: width of the output.
        length: longest history.
        attention: whether the weights are learned.
        dropout: share of the events that training hides.
        sparse: as `Embedding`; of the items' scores too.
        dtype: as `Embedding`.
    """

    def __init__(
        self,
        rows: int,
        dim: int,
        *,
        length: int,
        attention: bool,
        dropout: float = 0.0,
        sparse: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = Embedding(rows, dim, sparse=sparse, dtype=dtype)
        self.dim = dim
        if attention:
            self.item_score = nn.Parameter(torch.zeros(rows))
            self.distance_score = nn.Parameter(torch.zeros(length))
        self.attention = attention

    def forward(self, history: Ragged) -> Tensor:
        """Histories of int64 item indices, oldest first, to `[batch, dim]`; zero for an empty history."""
        if self.training and self.dropout:
            hidden = torch.rand(len(history.values), device=history.device) < self.dropout
            history = Ragged(history.values.masked_fill(hidden, 0), history.offsets)
        if not self.attention:
            return pool_mean(self.embedding, history.values, history.offsets)
        return pool_sum(self.embedding, history.values, history.offsets, self.weights(history))

    def weights(self, history: Ragged) -> Tensor:
        """`[total]` weight of each event; they sum to 1 over a history."""
        rows = history.row_ids()
        distance = history.offsets[1:][rows] - 1 - torch.arange(len(rows), device=rows.device)
        # index_select, since the backward pass of plain indexing is several times slower.
        scores = self._item_scores(history.values) + self.distance_score.index_select(0, distance)
        # Scores stay small, so a fixed bound does the work of a maximum over each row.
        powers = torch.exp(scores.float().clamp(-30, 30)) * (history.values > 0)
        sums = torch.zeros(len(history), device=rows.device).index_add(0, rows, powers)
        return powers / sums.clamp(min=1e-30)[rows]

    def _item_scores(self, items: Tensor) -> Tensor:
        if self.embedding.sparse:
            return self.item_score.gather(0, items, sparse_grad=True)
        return self.item_score.index_select(0, items)


def build_encoder(
    feature: Feature,
    encoding: Encoding,
    dim: int,
    *,
    project: bool,
    sparse: bool = False,
    table_dtype: torch.dtype | None = None,
) -> nn.Module:
    """The encoder that suits a feature.

    Args:
        feature: the feature; its own `dim`, where it has one, wins.
        encoding: what the feature learned from the data.
        dim: width of the output.
        project: whether numbers are brought to the same width; vectors always are.
        sparse: whether the gradients of tables name their rows, as in `Embedding`.
        table_dtype: of the tables, as in `Embedding`.
    """
    width: int = getattr(feature, "dim", None) or dim
    if isinstance(feature, History) and feature.pooling == "target":
        return TargetHistoryEncoder(encoding.size, width, dropout=feature.dropout)
    if isinstance(feature, History):
        return HistoryEncoder(
            encoding.size,
            width,
            length=feature.length,
            attention=feature.pooling == "attention",
            dropout=feature.dropout,
            sparse=sparse,
            dtype=table_dtype,
        )
    if encoding.shape == "index":
        return IndexEncoder(encoding.size, width, sparse=sparse, dtype=table_dtype)
    if encoding.shape == "bag":
        return BagEncoder(encoding.size, width, sparse=sparse, dtype=table_dtype)
    return DenseEncoder(encoding.size, dim if project or isinstance(feature, Vector) else None)
