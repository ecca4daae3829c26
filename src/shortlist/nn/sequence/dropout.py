"""Dropout whose coins are cheap: one random number tosses eight of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dropout(values: Tensor, share: float, training: bool) -> Tensor:
    """Hide some numbers and enlarge the others, so that the expectation stays.

    On a CPU PyTorch draws a random number for each value, which takes longer than the layer before it. Here
    each byte of a random number decides on one value; the share is rounded to a multiple of 1/256.

    Args:
        values: of any shape.
        share: of the numbers to hide, from 0 to below 1.
        training: whether to hide any.

    Returns:
        The same shape.
    """
    if not training or share == 0:
        return values
    hidden = min(round(share * 256), 255)
    if values.device.type != "cpu" or hidden == 0:
        return functional.dropout(values, share)
    words = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
    coins = words.view(torch.uint8)[: values.numel()].view(values.shape)
    return values * (coins >= hidden).to(values.dtype).mul_(256 / (256 - hidden))
