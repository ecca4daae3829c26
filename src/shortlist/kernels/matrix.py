"""Exact top-k over the rows of a matrix, on whatever device it lies."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.errors import ShapeError
from shortlist.kernels.blocks import RowLists, top_k_in_blocks
from shortlist.kernels.checks import check_finite, check_k, check_matrix
from shortlist.kernels.segments import Metric, Segment, encode, search_segments


class PreparedVectors:
    """A float32 matrix made ready for many exact searches by row number.

    The matrix is not copied where it is contiguous and on the CPU: do not change it while this lives.

    Args:
        vectors: `[n, dim]` float32.
        metric: `"dot"`, or `"l2"` for minus the squared distance.
        threads: to work with; PyTorch's number by default.

    Raises:
        ShapeError: the vectors are not a float32 matrix.
        DataError: a value is NaN or infinite.
    """

    def __init__(self, vectors: Tensor, *, metric: Metric = "dot", threads: int | None = None) -> None:
        self.metric: Metric = metric
        self.threads = threads
        self._vectors = check_matrix(vectors, "vectors")
        on_cpu = self._vectors.device.type == "cpu"
        array = self._vectors.numpy() if on_cpu else None
        self._segment = None if array is None else Segment(array, encode(array, threads=threads))

    def __len__(self) -> int:
        return len(self._vectors)

    def top_k(
        self, queries: Tensor, k: int, *, exclude: RowLists | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best k rows for each query; arguments and results as those of `shortlist.kernels.top_k`."""
        return _top_k(self._vectors, self._segment, queries, k, self.metric, exclude, where, self.threads)


def top_k(
    vectors: Tensor,
    queries: Tensor,
    k: int,
    *,
    metric: Metric = "dot",
    exclude: RowLists | None = None,
    where: Tensor | None = None,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The best k rows of a matrix for each query, exactly; for one search over vectors not seen before.

    On the CPU scores are double sums, the same bits on every processor. On other devices PyTorch multiplies
    in blocks, in the precision that it is set to. To search the same vectors again, use `PreparedVectors`.

    Args:
        vectors: `[n, dim]` float32.
        queries: `[batch, dim]` float32 on the same device.
        k: results a query, at least 1.
        metric: `"dot"`, or `"l2"` for minus the squared distance.
        exclude: `[batch]` lists of rows that a query must not get; rows outside `0..n - 1` do no harm.
        where: `[n]` bool, the rows allowed; all by default.
        threads: to work with; PyTorch's number by default.

    Returns:
        Rows, `[batch, min(k, n)]` int64, and scores, float32; best first, ties by the lower row, -1 and -inf
        where fewer rows are allowed.

    Raises:
        ShapeError: shapes, dtypes or devices do not fit together.
        ConfigError: k is below 1.
        DataError: a value is NaN or infinite (checked on the CPU only).
    """
    vectors = check_matrix(vectors, "vectors")
    segment = Segment(vectors.numpy()) if vectors.device.type == "cpu" else None
    return _top_k(vectors, segment, queries, k, metric, exclude, where, threads)


def _top_k(
    vectors: Tensor,
    segment: Segment | None,
    queries: Tensor,
    k: int,
    metric: Metric,
    exclude: RowLists | None,
    where: Tensor | None,
    threads: int | None,
) -> tuple[Tensor, Tensor]:
    queries = check_matrix(queries, "queries", vectors.shape[1])
    width = min(check_k(k), len(vectors))
    _check_devices(vectors, queries=queries, where=where)
    if where is not None and (where.dtype != torch.bool or where.shape != (len(vectors),)):
        raise ShapeError(
            f"where must be bool [{len(vectors)}], got {where.dtype} {list(where.shape)}",
            remedy="pass one truth value for each row of the vectors",
        )
    if exclude is not None and len(exclude.offsets) != len(queries) + 1:
        raise ShapeError(
            f"exclude has {len(exclude.offsets) - 1} lists for {len(queries)} queries",
            remedy="pass one list a query",
        )
    if segment is None:
        return top_k_in_blocks(vectors, queries, width, metric=metric, exclude=exclude, where=where)
    check_finite(queries.numpy(), "query")
    rows, scores = search_segments(
        [segment],
        queries.numpy(),
        width,
        metric=metric,
        exclude=None if exclude is None else _row_lists(exclude),
        where=None if where is None else where.contiguous().numpy(),
        threads=threads,
    )
    return torch.from_numpy(rows), torch.from_numpy(scores.astype(np.float32))


def _row_lists(lists: RowLists) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    values, offsets = lists.values.to("cpu", torch.int64), lists.offsets.to("cpu", torch.int64)
    return values.contiguous().numpy(), offsets.contiguous().numpy()


def _check_devices(vectors: Tensor, **others: Tensor | None) -> None:
    for name, tensor in others.items():
        if tensor is not None and tensor.device != vectors.device:
            raise ShapeError(
                f"{name} are on {tensor.device} and the vectors on {vectors.device}",
                remedy="move both to one device with .to(device)",
            )
