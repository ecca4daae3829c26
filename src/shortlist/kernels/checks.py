"""What the kernels insist on, said in words."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.errors import ConfigError, DataError, ShapeError


def check_matrix(values: Tensor, name: str, dim: int | None = None) -> Tensor:
    """Bring a float32 matrix into the form that the kernels read, copying it only if it is not contiguous.

    Args:
        values: `[n, dim]` float32 on any device.
        name: what to call it in an error.
        dim: the width it must have.

    Raises:
        ShapeError: it is no such matrix.
    """
    wanted = f"[n, {dim or 'dim'}]"
    if values.dtype != torch.float32 or values.ndim != 2 or (dim is not None and values.shape[1] != dim):
        raise ShapeError(
            f"{name} must be a float32 matrix {wanted}, got {values.dtype} {list(values.shape)}",
            remedy="convert with .float() and pass one vector a row",
        )
    if not 1 <= values.shape[1] <= _native.MAX_DIM:
        raise ShapeError(
            f"{name} are {values.shape[1]} wide; the kernels take 1 to {_native.MAX_DIM:,}",
            remedy="use narrower vectors",
        )
    return values.detach().contiguous()


def check_k(k: int) -> int:
    """Refuse a k that is not a positive whole number with a ConfigError."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ConfigError(f"k is {k!r}", remedy="ask for a whole number of results, at least 1")
    return int(k)


def check_threads(threads: int | None) -> int:
    """Fill in the default number of threads and refuse one below 1 with a ConfigError."""
    chosen = torch.get_num_threads() if threads is None else threads
    if chosen < 1:
        raise ConfigError(f"threads is {threads!r}", remedy="use at least 1, or None for PyTorch's number")
    return chosen


def check_finite(vectors: NDArray[np.float32], kind: str) -> None:
    """Refuse vectors with a NaN or an infinite value with a DataError.

    Args:
        vectors: `[n, dim]` float32.
        kind: what one of them is, such as "query".
    """
    if math.isfinite(np.vdot(vectors, vectors)):  # one number is looked at sooner than all
        return
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise not_finite(kind, int(np.argmin(finite)))


def not_finite(kind: str, row: int) -> DataError:
    """The error for a row (its number) of a `kind` such as "vector" that holds a NaN or an infinity."""
    return DataError(
        f"{kind} {row} holds a NaN or an infinite value", remedy="remove it, or find out how it came about"
    )
