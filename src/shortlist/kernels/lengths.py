"""Rows brought to length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist import _native


def normalise(rows: NDArray[np.float32], normalised: NDArray[np.float32]) -> None:
    """Divide rows by their Euclidean lengths, computed in double; rows of length zero stay as they are.

    Args:
        rows: `[n, dim]` float32, contiguous.
        normalised: `[n, dim]` float32, contiguous; filled.
    """
    _native.normalise(rows, normalised)
