"""Random numbers that belong to a request, not to a batch.

A generator's stream would give a request other numbers in another batch. Here each number is a hash of
what it is for, so it is the same wherever and however often it is drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.requests import Requests

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def request_keys(requests: Requests, *, seed: int) -> Tensor:
    """One key a request, from the seed, the user and the time.

    Unknown users are told apart by their histories; otherwise all of them would explore the same items.

    Args:
        requests: the batch.
        seed: any integer.

    Returns:
        `[batch]` int64.
    """
    history = requests.history
    entries = scramble(history.values + history.positions() * _signed(_GOLDEN))
    past = torch.zeros_like(requests.users).index_add_(0, history.row_ids(), entries)
    keys = scramble(requests.users + _signed(seed * _GOLDEN + _FIRST))
    keys = scramble(keys + requests.times)
    return torch.where(requests.users == 0, scramble(keys + past), keys)


def uniforms(keys: Tensor, numbers: Tensor) -> Tensor:
    """Uniform numbers in (0, 1).

    Args:
        keys: `[n]` int64, whose number it is.
        numbers: `[n]` int64, which of the key's numbers.

    Returns:
        `[n]` float64.
    """
    mixed = scramble(keys + scramble(numbers + _signed(_GOLDEN)))
    return (_shifted(mixed, 11).double() + 0.5) / 2.0**53


def scramble(keys: Tensor) -> Tensor:
    """Mix the bits of int64 keys.

    Source: the finaliser of SplitMix64, Steele et al., Fast splittable pseudorandom number generators
    (OOPSLA 2014).
    """
    keys = (keys ^ _shifted(keys, 30)) * _signed(_FIRST)
    keys = (keys ^ _shifted(keys, 27)) * _signed(_SECOND)
    return keys ^ _shifted(keys, 31)


def _shifted(keys: Tensor, bits: int) -> Tensor:
    # PyTorch's >> on int64 copies the sign; the mask makes it the unsigned shift that SplitMix64 means.
    return (keys >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >= 1 << 63 else number
