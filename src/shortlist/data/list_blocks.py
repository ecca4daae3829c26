"""Lists of different lengths as a few dense blocks of lists of similar length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

# What a block holds stays in the second-level cache of a core while a dozen operations go over it.
CPU_BLOCK = 1 << 18
# A graphics card wants longer operations than a core.
DEVICE_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class ListBlock:
    """Some lists side by side, each in a row of its own; none of them is empty.

    Args:
        lists: `[count]` int64 numbers of the lists.
        places: `[count, width]` int64 positions of their values in the flat tensor; where a list has ended,
            the position of its first value.
        present: `[count, width]` bool, False where a list has ended; None if all lists are as wide.
    """

    lists: Tensor
    places: Tensor
    present: Tensor | None

    def take(self, values: Tensor, *, fill: float) -> Tensor:
        """Gather the block's part of a flat tensor.

        Args:
            values: `[total]`.
            fill: what stands where a list has ended.

        Returns:
            `[count, width]`.
        """
        dense = values[self.places]
        return dense if self.present is None else dense.masked_fill_(~self.present, fill)

    def put(self, flat: Tensor, dense: Tensor) -> None:
        """Write the block's part of a flat tensor, in place.

        Args:
            flat: `[total]`, overwritten where the block has values.
            dense: `[count, width]`.
        """
        if self.present is None:
            flat[self.places] = dense
        else:
            flat[self.places[self.present]] = dense[self.present]

    def pairs_present(self) -> Tensor | None:
        """`[count, width, width]` bool, where both items of a pair exist; None if all do."""
        if self.present is None:
            return None
        return self.present[:, :, None] & self.present[:, None, :]


def list_blocks(offsets: Tensor, *, pairs: bool) -> Iterator[ListBlock]:
    """Cut a batch of lists into blocks of bounded size, by length.

    A block is as wide as the longest of its own lists, not of the batch, so a long list does not make the
    short ones long.

    Args:
        offsets: `[lists + 1]` int64 of the lists.
        pairs: whether a block's size is its number of pairs of items, rather than of items.

    Yields:
        Blocks that together hold every list that is not empty once.
    """
    lengths, order = offsets.diff().sort(stable=True)
    sizes = lengths.tolist()
    most = CPU_BLOCK if offsets.device.type == "cpu" else DEVICE_BLOCK
    cuts = _cuts(sizes, most, pairs)
    for first, last in pairwise(cuts):
        lists, width = order[first:last], sizes[last - 1]
        columns = torch.arange(width, device=offsets.device)
        starts = offsets[lists][:, None]
        if sizes[first] == width:
            yield ListBlock(lists, starts + columns, None)
        else:
            present = columns < lengths[first:last, None]
            yield ListBlock(lists, starts + columns * present, present)


def _cuts(sizes: list[int], most: int, pairs: bool) -> list[int]:
    """Where the blocks begin and end among the lists in the order of their lengths."""
    cuts = [bisect_right(sizes, 0)]
    while cuts[-1] < len(sizes):
        start = cuts[-1]
        fits = bisect_right(
            range(start + 1, len(sizes) + 1), most, key=lambda end: _size(end - start, sizes[end - 1], pairs)
        )
        cuts.append(start + max(1, fits))
    return cuts


def _size(count: int, width: int, pairs: bool) -> int:
    return count * width * (width if pairs else 1)
