"""Mixed precision: what runs in fewer bits, and the loss scaling that float16 needs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeAlias, get_args

import torch

from shortlist.errors import ConfigError, did_you_mean

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""The number format of matrix products in the forward pass."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context that the forward pass runs in.

    Args:
        precision: of matrix products; weights, optimizer state and reductions stay in float32.
        device: that the model is on.

    Returns:
        A context manager that can be entered again and again; one that does nothing for float32.

    Raises:
        ConfigError: the precision is unknown.
    """
    if precision not in get_args(Precision):
        raise ConfigError(
            f"precision {precision!r} is unknown", remedy=did_you_mean(str(precision), get_args(Precision))
        )
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """The scaler that keeps small float16 gradients from vanishing; it passes all else through."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")
