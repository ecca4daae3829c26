"""Random-looking numbers from numbers: the same on every device and in the native kernels."""

from __future__ import annotations

from torch import Tensor


def mixed(values: Tensor) -> Tensor:
    """A permutation of the 64-bit integers in which every bit of the input changes half of the output's.

    Args:
        values: int64.

    Returns:
        int64 of the same shape.

    Source: the finaliser of S. Vigna's splitmix64.
    """
    values = (values ^ shifted(values, 30)) * (0xBF58476D1CE4E5B9 - (1 << 64))  # products wrap around
    values = (values ^ shifted(values, 27)) * (0x94D049BB133111EB - (1 << 64))
    return values ^ shifted(values, 31)


def shifted(values: Tensor, places: int) -> Tensor:
    """Shift to the right, with zeros coming in.

    Args:
        values: int64.
        places: 1 to 63.
    """
    return values >> places & (1 << 64 - places) - 1
