"""torch's random state during training: seeded, saved, and handed back as it was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def preserved_rng(device: torch.device, *, seed: int | None = None) -> Iterator[None]:
    """Give back torch's global random state at the end, of the CPU and of one CUDA device.

    Args:
        device: whose generator is preserved beside the CPU's.
        seed: seeds these generators, and no other device's, at the start; None leaves them.
    """
    state = rng_state(device)
    if seed is not None:
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[_index(device)].manual_seed(seed)
    try:
        yield
    finally:
        restore_rng(state, device)


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """The random state as uint8 tensors on the CPU, by device type: what a checkpoint keeps."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(_index(device))
    return state


def restore_rng(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the random state to what `rng_state` returned; a part that is missing is left as it is."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], _index(device))


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
