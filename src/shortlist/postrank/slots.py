"""Which values of a column (genres, artist) each candidate has, numbered within its own request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class ValueSlots:
    """One entry for each (candidate, value), sorted by slot, then by position in the list.

    A slot is a (request, value) pair that occurs, so the memory depends on the candidates and not on how
    many values the column has.

    Args:
        candidate: `[entries]` int64 flat position of the candidate.
        slot: `[entries]` int64 slot number from 0, ascending.
        num_slots: number of slots.
        counts: `[total]` int64, how many distinct values each candidate has.
    """

    candidate: Tensor
    slot: Tensor
    num_slots: int
    counts: Tensor

    @classmethod
    def of(cls, candidates: Candidates, groups: Ragged) -> ValueSlots:
        """Look up the candidates' values; a value that an item repeats counts once.

        Args:
            candidates: the lists.
            groups: `[num_items + 1]` rows of value numbers.
        """
        items = candidates.items.values
        values = groups.to(items.device).take(items)
        candidate = values.row_ids()
        num_values = int(values.values.max()) + 1 if len(values.values) else 1
        key = candidates.row_ids()[candidate] * num_values + values.values
        order = torch.argsort(key, stable=True)
        key, candidate = key[order], candidate[order]
        repeated = torch.zeros_like(key, dtype=torch.bool)
        repeated[1:] = (key[1:] == key[:-1]) & (candidate[1:] == candidate[:-1])
        key, candidate = key[~repeated], candidate[~repeated]
        distinct, slot = torch.unique_consecutive(key, return_inverse=True)
        counts = torch.zeros_like(items).index_add_(0, candidate, torch.ones_like(candidate))
        return cls(candidate, slot, len(distinct), counts)

    def earlier(self, flags: Tensor) -> Tensor:
        """For each entry, how many earlier candidates of its slot have a flag.

        Args:
            flags: `[total]` bool.

        Returns:
            `[entries]` int64.
        """
        marked = flags[self.candidate].long()
        before = marked.cumsum(0) - marked
        first = torch.ones_like(self.slot, dtype=torch.bool)
        first[1:] = self.slot[1:] != self.slot[:-1]
        return before - before[first][self.slot]

    def count(self, flags: Tensor) -> Tensor:
        """For each candidate, how many of its entries have a flag.

        Args:
            flags: `[entries]` bool.

        Returns:
            `[total]` int64.
        """
        return torch.zeros_like(self.counts).index_add_(0, self.candidate, flags.long())
