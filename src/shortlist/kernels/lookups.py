"""Reading without training: ids from strings, and rows from arrays that may lie in a mapped file."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.kernels.checks import check_threads
from shortlist.kernels.row_records import Float32Array, Int64Array


def hash_strings(data: NDArray[np.uint8], offsets: Int64Array) -> Int64Array:
    """XXH64, seed 0, of some strings.

    Args:
        data: `[total]` uint8, their bytes one after the other.
        offsets: `[n + 1]` int64, where each begins and ends.

    Returns:
        `[n]` int64, the hashes as two's complement.
    """
    ids = np.empty(len(offsets) - 1, np.int64)
    _native.hash_strings(data, offsets, ids)
    return ids


def enter_lookup(ids: Int64Array, *, full: float) -> Int64Array:
    """A hash table of ids for `read_lookup`.

    Args:
        ids: `[n]` int64, distinct; row i is that of `ids[i]`.
        full: share of the buckets that are taken at most.

    Returns:
        `[buckets, 2]` int64: an id and its row, or -1 for the row of an empty bucket.
    """
    count = 1 << max(int(len(ids) / full), 1).bit_length()
    buckets = np.empty((count, 2), np.int64)
    _native.enter_lookup(ids, buckets)
    return buckets


def read_lookup(
    buckets: Int64Array,
    rows: Float32Array,
    shared: Float32Array,
    seed: int,
    ids: Tensor,
    *,
    threads: int | None = None,
) -> Tensor:
    """Rows by id from arrays, which may lie in a mapped file.

    Args:
        buckets: as `enter_lookup` returns.
        rows: `[n, dim]` float32.
        shared: `[shared_rows, dim]` float32, for the ids that are not there; they get zeros where it is
            empty.
        seed: of the table.
        ids: `[m]` int64.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[m, dim]` float32.
    """
    out = torch.empty(len(ids), rows.shape[1])
    values = ids.cpu().contiguous().numpy()
    _native.read_lookup(buckets, rows, shared, seed % 2**64, values, check_threads(threads), out.numpy())
    return out
