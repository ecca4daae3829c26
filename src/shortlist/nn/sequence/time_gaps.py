"""How long ago, on a scale of doublings."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.nn.sequence.layout import SequenceLayout

NUM_GAPS = 40  # doublings of a second; the last is beyond any lifetime


def gap_buckets(seconds: Tensor) -> Tensor:
    """Gaps as row numbers of a table: 0 for none, then one row a doubling.

    Args:
        seconds: int64; what is negative counts as none.

    Returns:
        int64 from 0 to `NUM_GAPS - 1`.
    """
    doublings = torch.log2(seconds.clamp(min=0).double() + 1).ceil().long()
    return doublings.clamp(max=NUM_GAPS - 1)


def gaps_before(layout: SequenceLayout, times: Tensor) -> Tensor:
    """Buckets of the time since the event before; 0 for the first event of a sequence.

    Args:
        layout: of the sequences.
        times: `[total]` int64 seconds.

    Returns:
        `[total]` int64.
    """
    since = torch.zeros_like(times)
    since[1:] = times.diff()
    return gap_buckets(since.masked_fill_(layout.positions == 0, 0))
