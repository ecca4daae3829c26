"""At most a few items of one kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.requests import Requests
from shortlist.postrank.checks import check_column, check_count, check_flag
from shortlist.postrank.columns import item_groups
from shortlist.postrank.grid import Grid
from shortlist.postrank.protocol import check_inputs
from shortlist.postrank.slots import ValueSlots


@dataclass(frozen=True)
class Cap:
    """Keep at most `at_most` items for each value of a column.

    Walks each list from the best: an item is kept when every value that it has belongs to fewer than
    `at_most` of the items kept so far, and skipped otherwise. An item without a value is always kept. With
    `fill`, the skipped items move behind all the kept ones, in order: the first `size` exceed a cap only
    where fewer than `size` items respect it, and then by the best of the rest. Without, they are dropped
    and the list may be shorter than `size`. The whole list is treated, not only its first `size`, so a
    second `Cap` fills its gaps with items that respect the first. Scores stay; a column `cap_skipped` is 1
    for the items that were moved.

    Cost: O(entries x log entries) a request, entries = candidates x values an item, and passes over the
    entries of the batch: one where an item has one value, 4 to 8 for a few genres an item; never more than
    the longest list is long.

    Args:
        column: of values or of lists of values (each of them counts) in the item table.
        at_most: items for each value, at least 1.
        fill: whether skipped items may still fill a short list.

    Raises:
        ConfigError: no column is named, or `at_most` is below 1.
    """

    column: str
    at_most: int
    fill: bool = True

    def __post_init__(self) -> None:
        check_column(self.column, field="column", stage="Cap")
        check_count(self.at_most, field="at_most", stage="Cap")
        check_flag(self.fill, field="fill", stage="Cap")

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int = 0
    ) -> Candidates:
        """See `PostRanker.rerank`.

        Raises:
            SchemaError: the catalogue lacks the column.
        """
        check_inputs(candidates, size, catalogue, requests, stage="Cap")
        slots = ValueSlots.of(candidates, item_groups(catalogue, self.column))
        kept = first_within_caps(slots, self.at_most)
        if not self.fill:
            return candidates.keep(kept)
        grid = Grid.of(candidates)
        behind = grid.pad((~kept).long(), fill=2)
        skipped = grid.pad((~kept).float())
        return grid.ordered(torch.argsort(behind, dim=1, stable=True), cap_skipped=skipped)


def first_within_caps(slots: ValueSlots, at_most: int) -> Tensor:
    """The greedy walk, for all lists at once.

    An item is certainly kept when even with all undecided items before it no value is full, and certainly
    skipped when the kept ones before it already fill a value. Each pass decides at least the first
    undecided item of each list, and usually nearly all of them.

    Args:
        slots: the candidates' values.
        at_most: items for each value.

    Returns:
        `[total]` bool, which candidates are kept.
    """
    kept = torch.zeros_like(slots.counts, dtype=torch.bool)
    skipped = torch.zeros_like(kept)
    undecided = torch.ones_like(kept)
    while bool(undecided.any()):
        kept |= undecided & (slots.count(slots.earlier(~skipped) >= at_most) == 0)
        skipped |= undecided & (slots.count(slots.earlier(kept) >= at_most) > 0)
        undecided = ~(kept | skipped)
    return kept
