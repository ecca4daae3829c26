"""From an index of any range to rows of a small table, by hashing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shortlist.kernels.mixing import mixed, shifted

_BITS = 31  # of a hash that choose the bucket


def hashed_rows(values: Tensor, seeds: Sequence[int], buckets: int) -> Tensor:
    """The rows that several hash functions give to indices: 0 for 0, and 1 to `buckets` for all others.

    Args:
        values: `[...]` int64.
        seeds: one for each function.
        buckets: at most 2**31.

    Returns:
        `[..., seeds]` int64.
    """
    starts = mixed(torch.tensor(list(seeds), dtype=torch.int64, device=values.device))
    hashes = shifted(mixed(mixed(values)[..., None] + starts), 64 - _BITS)
    rows = (hashes * buckets >> _BITS) + 1
    return rows * (values != 0)[..., None]
