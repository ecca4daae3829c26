"""The hash functions of ids, in Python's own whole numbers."""

from __future__ import annotations

MASK = (1 << 64) - 1


def mixed(value: int) -> int:
    """splitmix64's finaliser."""
    value &= MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def hashed_row(value: int, seed: int, buckets: int) -> int:
    """The row from 1 to `buckets` that a function gives to an index; 0 for 0."""
    if value == 0:
        return 0
    return ((mixed(mixed(value) + mixed(seed)) >> 33) * buckets >> 31) + 1
