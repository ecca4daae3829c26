"""What callers hand in (numpy, PyTorch, Polars, lists), brought into the one form that the index reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.vocabulary import normalise_ids
from shortlist.errors import ConfigError, DataError, ShapeError, did_you_mean
from shortlist.kernels import check_finite
from shortlist.kernels.lengths import normalise

Metric = Literal["dot", "cosine", "l2"]
Ids = NDArray[Any] | Tensor | pl.Series | Sequence[int] | Sequence[str]
Vectors = NDArray[np.float32] | Tensor
METRICS: tuple[Metric, ...] = ("dot", "cosine", "l2")


def check_metric(metric: Metric) -> Metric:
    """Refuse an unknown metric with a ConfigError."""
    if metric not in METRICS:
        raise ConfigError(f"metric is {metric!r}", remedy=did_you_mean(str(metric), METRICS))
    return metric


def as_ids(ids: Ids) -> pl.Series:
    """Bring ids to a Series of String or Int64.

    Raises:
        DataError: they are neither strings nor integers, repeat, or hold a null.
    """
    series = id_series(ids)
    if series.null_count():
        raise DataError(f"{series.null_count()} ids are null", where="ids", remedy="drop those rows")
    if series.n_unique() != len(series):
        twice = series.filter(series.is_duplicated())[0]
        raise DataError(f"id {twice!r} comes more than once", where="ids", remedy="keep one row an id")
    return series


def id_series(ids: Ids) -> pl.Series:
    """Bring ids to a Series of String or Int64, whether or not they repeat; empty ones become Int64.

    Raises:
        DataError: they are neither strings nor integers.
    """
    if isinstance(ids, Tensor):
        ids = ids.cpu().numpy()
    try:
        series = ids if isinstance(ids, pl.Series) else pl.Series(values=ids)
        return normalise_ids(
            series.cast(pl.Int64) if len(series) == 0 and series.dtype != pl.String else series
        )
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"ids that are neither strings nor 64-bit integers: {error}",
            remedy="pass a list or array of one kind",
        ) from error


def as_matrix(vectors: Vectors, dim: int, name: str) -> NDArray[np.float32]:
    """Bring vectors to a contiguous float32 `[n, dim]` array; copies only what is not that already.

    Raises:
        ShapeError: another dtype or shape.
    """
    array = vectors.detach().cpu().numpy() if isinstance(vectors, Tensor) else np.asarray(vectors)
    if array.dtype != np.float32 or array.ndim != 2 or array.shape[1] != dim:
        raise ShapeError(
            f"{name} must be float32 [n, {dim}], got {array.dtype} {list(array.shape)}",
            remedy="convert with .astype(np.float32) or .float(), one vector of the index's dim a row",
        )
    return np.ascontiguousarray(array)


def as_queries(queries: Vectors, dim: int) -> tuple[NDArray[np.float32], bool]:
    """Bring queries to a finite, contiguous float32 `[batch, dim]` array.

    Returns:
        The array, and whether the caller gave a single query without a batch axis.

    Raises:
        ShapeError: another dtype or shape.
        DataError: a NaN or an infinite value.
    """
    array = queries if isinstance(queries, Tensor) else np.asarray(queries)
    single = array.ndim == 1
    matrix = as_matrix(array[None] if single else array, dim, "queries")
    check_finite(matrix, "query")
    return matrix, single


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; zeros stay zeros. The lengths are computed in double, so nothing overflows.

    What is not finite stays so: it is found and refused later, by its row.
    """
    result = np.empty(vectors.shape, np.float32)
    normalise(np.ascontiguousarray(vectors), result)
    return result
