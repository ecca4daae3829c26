"""A history in the light of each candidate: what of it speaks for this item?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ShapeError
from shortlist.nn.embedding import Embedding


class TargetAttention(nn.Module):
    """A weighted sum of a history's events, the weights found for each candidate by a small network.

    The weights are not normalised: a history with much that speaks for a candidate gives a longer vector than
    one with little.

    Args:
        dim: width of events and candidates.
        hidden: width of the network's layer.

    Source: Zhou et al., Deep interest network for click-through rate prediction (KDD 2018).
    """

    def __init__(self, dim: int, *, hidden: int = 32) -> None:
        super().__init__()
        # One layer over (event, candidate, their product), in three parts: the first two are computed once an
        # event and once a candidate, and only the third once a pair.
        self.of_event = nn.Linear(dim, hidden)
        self.of_candidate = nn.Linear(dim, hidden, bias=False)
        self.of_product = nn.Linear(dim, hidden, bias=False)
        self.activation = nn.PReLU()
        self.weight = nn.Linear(hidden, 1)

    def forward(self, events: Ragged, candidates: Tensor, rows: Tensor) -> Tensor:
        """Pool each candidate's history.

        Args:
            events: one row of `[dim]` embeddings a request.
            candidates: `[n, dim]` embeddings.
            rows: `[n]` int64, the request of each candidate.

        Returns:
            `[n, dim]`; zero for an empty history.

        Raises:
            ShapeError: there is not one row number a candidate.
        """
        if rows.shape != candidates.shape[:1]:
            raise ShapeError(
                f"{len(candidates)} candidates, but rows is {tuple(rows.shape)}",
                remedy="give the request of each candidate",
            )
        every = torch.arange(len(events.values), device=rows.device)
        pairs = Ragged(every, events.offsets).take(rows)
        event, candidate = pairs.values, pairs.row_ids()
        product = _gather(events.values, event) * _gather(candidates, candidate)
        layer = (
            _gather(self.of_event(events.values), event)
            + _gather(self.of_candidate(candidates), candidate)
            + self.of_product(product)
        )
        weights = self.weight(self.activation(layer)).squeeze(1)
        if len(events.values) == 0:
            return torch.zeros_like(candidates)
        return nn.functional.embedding_bag(
            event,
            events.values,
            pairs.offsets,
            mode="sum",
            per_sample_weights=weights.to(events.values.dtype),
            include_last_offset=True,
        )


class TargetHistoryEncoder(nn.Module):
    """What the user did before, as each candidate sees it; for rankers.

    Args:
        rows: number of item indices, the unknown counted.
        dim: width of the output.
        dropout: share of the events that training hides.
    """

    def __init__(self, rows: int, dim: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = Embedding(rows, dim)
        self.attention = TargetAttention(dim)
        self.dropout, self.dim = dropout, dim

    def forward(self, history: Ragged, candidates: Tensor, rows: Tensor) -> Tensor:
        """Pool each candidate's history.

        Args:
            history: one row of int64 item indices a request.
            candidates: `[n]` int64 indices in the same table.
            rows: `[n]` int64, the request of each candidate.

        Returns:
            `[n, dim]`.
        """
        values = history.values
        if self.training and self.dropout:
            values = values.masked_fill(torch.rand(len(values), device=values.device) < self.dropout, 0)
        # The unknown's row is zero, so what is hidden adds nothing to the sum.
        events = Ragged(self.embedding(values), history.offsets)
        return self.attention(events, self.embedding(candidates), rows)  # type: ignore[no-any-return]


def _gather(table: Tensor, rows: Tensor) -> Tensor:
    """Rows by number; the backward pass of plain indexing is several times slower."""
    return nn.functional.embedding(rows, table)
