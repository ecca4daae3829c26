"""Top-k by PyTorch's own operations, block by block: the way on devices without native kernels."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

# Scores held at a time: 256 MB of float32.
BLOCK_SCORES = 1 << 26


class RowLists(Protocol):
    """Lists of rows, one a query: `shortlist.data.Ragged`, which this module, below it, cannot name."""

    @property
    def values(self) -> Tensor:
        """`[total]` int64."""

    @property
    def offsets(self) -> Tensor:
        """`[queries + 1]` int64."""


def top_k_in_blocks(
    vectors: Tensor,
    queries: Tensor,
    k: int,
    *,
    metric: str = "dot",
    exclude: RowLists | None = None,
    where: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The best k rows for each query, one matrix product a block.

    Args:
        vectors: `[n, dim]` float32.
        queries: `[batch, dim]` float32 on the same device.
        k: at most n.
        metric: `"dot"`, or `"l2"` for minus the squared distance.
        exclude: `[batch]` lists of rows that a query must not get.
        where: `[n]` bool, the rows allowed.

    Returns:
        Rows, `[batch, k]` int64, and scores; best first, ties by the lower row, -1 and -inf where fewer rows
        are allowed.
    """
    batch, n = len(queries), len(vectors)
    rows = torch.empty(batch, 0, dtype=torch.int64, device=vectors.device)
    scores = torch.empty(batch, 0, device=vectors.device)
    step = max(k, BLOCK_SCORES // max(batch, 1), 1)
    for start in range(0, n, step):
        block = _scores(vectors[start : start + step], queries, metric)
        if where is not None:
            block.masked_fill_(~where[start : start + step], -torch.inf)
        if exclude is not None:
            _mask_excluded(block, exclude, start)
        block_scores, block_rows = _stable_top_k(block, min(k, block.shape[1]))
        # Earlier rows stand first, so a stable selection keeps the lower row of a tie.
        scores, best = _stable_top_k(torch.cat([scores, block_scores], 1), min(k, start + block.shape[1]))
        rows = torch.cat([rows, block_rows + start], 1).gather(1, best)
    return rows.masked_fill(scores == -torch.inf, -1), scores


def _scores(vectors: Tensor, queries: Tensor, metric: str) -> Tensor:
    if metric == "dot":
        return queries @ vectors.T
    return -torch.cdist(queries, vectors, compute_mode="donot_use_mm_for_euclid_dist").square_()


def _mask_excluded(block: Tensor, exclude: RowLists, start: int) -> None:
    lengths = exclude.offsets.diff()
    queries = torch.arange(len(lengths), device=block.device).repeat_interleave(lengths.to(block.device))
    columns = exclude.values.to(block.device) - start
    inside = (columns >= 0) & (columns < block.shape[1])
    block[queries[inside], columns[inside]] = -torch.inf


def _stable_top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`torch.topk`, with ties going to the lower column."""
    if k == 0:
        return scores[:, :0], torch.empty(len(scores), 0, dtype=torch.int64, device=scores.device)
    values, columns = scores.topk(k, dim=1)
    worst = values[:, -1:]
    # topk keeps any of the columns that share the last score; only where it had to choose, sort it all.
    if bool(((scores == worst).sum(1) > (values == worst).sum(1)).any()):
        ordered, columns = scores.sort(dim=1, descending=True, stable=True)
        return ordered[:, :k], columns[:, :k]
    columns, by_column = columns.sort(dim=1)
    values, order = values.gather(1, by_column).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)
