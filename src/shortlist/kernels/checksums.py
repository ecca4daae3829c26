"""Checksums as fast as memory is read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shortlist import _native
from shortlist.kernels.checks import check_threads


def checksum(content: NDArray[np.uint8], *, threads: int | None = None) -> int:
    """A 64-bit checksum of some bytes. It finds damage; it does not withstand somebody who means harm.

    Args:
        content: `[n]` uint8, contiguous.
        threads: to work with; PyTorch's number by default. The sum does not depend on it.
    """
    return _native.checksum(content, check_threads(threads))
