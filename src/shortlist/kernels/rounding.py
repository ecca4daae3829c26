"""Stochastic rounding to bfloat16, with random numbers that depend on seed, step, row and column alone.

Rounded to the nearest, a weight of 1 does not notice steps below 1/512: training stalls. Rounded up or down
at random, in proportion to how near both are, it is right on average and moves as it should. This is the
function of the native kernels (`native/tables/noise.hpp`, `narrow`) for other devices, to the bit.

Source: Gupta et al., Deep learning with limited numerical precision (ICML 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.kernels.mixing import mixed, shifted

_LOW = 0xFFFFFFFF


@dataclass(frozen=True)
class Rounding:
    """Where the random numbers of a step's rounding start.

    Args:
        seed: from 0, below 2**63.
        step: number of the step, from 0.
    """

    seed: int
    step: int


def rounded(values: Tensor, rows: Tensor, rounding: Rounding, *, array: int = 0) -> Tensor:
    """Round rows to bfloat16 at random.

    Args:
        values: `[n, dim]` float32.
        rows: `[n]` int64 numbers of the rows in their table.
        rounding: seed and step.
        array: 0 for the weights, 1 or 2 for the optimizer's state: each is rounded on its own.

    Returns:
        `[n, dim]` bfloat16.
    """
    seed, step = (torch.tensor(each, device=values.device) for each in (rounding.seed, rounding.step))
    noise = mixed(mixed(seed) + step)
    keys = shifted(mixed(noise ^ (rows << 2 | array)), 32)
    columns = torch.arange(values.shape[1], device=values.device) * 0x9E3779B9 & _LOW
    random = keys[:, None] ^ columns
    random = (random ^ random >> 16) * 0x7FEB352D & _LOW
    random = (random ^ random >> 15) * 0x846CA68B & _LOW
    random = random ^ random >> 16
    bits = values.contiguous().view(torch.int32).long() & _LOW
    finite = (bits & 0x7F800000) != 0x7F800000  # a NaN must not become a number
    upper = bits + torch.where(finite, random & 0xFFFF, 0) >> 16
    return upper.to(torch.int16).view(torch.bfloat16)
