"""Which column of a score matrix belongs to which item."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.errors import DataError, ShapeError


class Columns:
    """The ids of a catalogue in ascending order, the unknown item 0 left out.

    Args:
        ids: `[size]` integer ids, each once; None for the row numbers.
        size: number of candidates.
        device: where to look them up.

    Raises:
        DataError: an id comes twice.
        ShapeError: there is not one integer id a candidate.
    """

    def __init__(self, ids: Tensor | None, size: int, device: torch.device) -> None:
        if ids is None:
            ids = torch.arange(size, device=device)
        if ids.shape != (size,) or ids.is_floating_point():
            raise ShapeError(
                f"candidate_ids is {ids.dtype} {tuple(ids.shape)} for {size} candidates",
                remedy="pass one integer id a candidate",
            )
        sorted_ids, order = ids.to(device=device, dtype=torch.int64).sort()
        known = sorted_ids != 0
        self.ids, self.source = sorted_ids[known], order[known]
        twice = self.ids[1:][self.ids[1:] == self.ids[:-1]]
        if len(twice):
            raise DataError(
                f"candidate id {int(twice[0])} comes more than once", remedy="pass each candidate once"
            )

    def find(self, ids: Tensor) -> Tensor:
        """Look up the columns of some ids.

        Args:
            ids: integers of any shape.

        Returns:
            int64 of the same shape, -1 where an id is not in the catalogue.
        """
        ids = ids.to(device=self.ids.device, dtype=torch.int64).contiguous()
        if len(self.ids) == 0:
            return torch.full_like(ids, -1)
        columns = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
        return torch.where(self.ids[columns] == ids, columns, -1)
