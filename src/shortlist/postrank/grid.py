"""The lists of a batch as a rectangle, for algorithms that pick from all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates


@dataclass(frozen=True, eq=False)
class Grid:
    """One row a request, one column a position, as wide as the longest list.

    Args:
        candidates: the lists.
        rows: `[total]` int64, each candidate's row.
        columns: `[total]` int64, each candidate's column.
        valid: `[batch, width]` bool, false behind a list's end.
    """

    candidates: Candidates
    rows: Tensor
    columns: Tensor
    valid: Tensor

    @classmethod
    def of(cls, candidates: Candidates) -> Grid:
        """Lay out the lists of a batch."""
        lengths = candidates.lengths
        width = int(lengths.max()) if len(lengths) else 0
        valid = torch.arange(width, device=lengths.device) < lengths[:, None]
        return cls(candidates, candidates.row_ids(), candidates.items.positions(), valid)

    @property
    def positions(self) -> Tensor:
        """`[batch, width]` int64 column numbers."""
        return torch.arange(self.valid.shape[1], device=self.valid.device).expand(self.valid.shape)

    def pad(self, column: Tensor, *, fill: float = 0) -> Tensor:
        """A flat column as a rectangle.

        Args:
            column: `[total, ...]`.
            fill: value behind a list's end.

        Returns:
            `[batch, width, ...]` of the column's dtype.
        """
        padded = column.new_full((*self.valid.shape, *column.shape[1:]), fill)
        padded[self.rows, self.columns] = column
        return padded

    def flat(self, rectangle: Tensor) -> Tensor:
        """The reverse of `pad`: `[batch, width]` to `[total]`."""
        return rectangle[self.rows, self.columns]

    def ordered(self, order: Tensor, **features: Tensor) -> Candidates:
        """Bring each list into another order.

        Args:
            order: `[batch, width]` int64; column `j` of a row says which column comes `j`th. The columns
                behind a list's end must stay behind it.
            **features: columns to add, `[batch, width]` float32 each, in the present order.
        """
        added = {name: self.flat(column) for name, column in features.items()}
        candidates = self.candidates.with_scores(self.candidates.scores, **added)
        starts = self.candidates.items.offsets[:-1, None]
        return candidates.take((starts + order)[self.valid], candidates.lengths)
