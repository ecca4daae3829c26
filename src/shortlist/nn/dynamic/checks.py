"""What tables over ids insist on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shortlist.errors import ConfigError, ShapeError

_SKETCH_MOST = 255  # what a counter of the sketch can hold


def check_arguments(config: Mapping[str, Any]) -> None:
    """Refuse arguments of a dynamic table that are out of range with a ConfigError.

    Args:
        config: all arguments by name.
    """
    exact = config["sketch_bytes"] is None
    bounds = {
        "dim": (1, 65_536),
        "seed": (-(1 << 63), (1 << 64) - 1),
        "admit_after": (1, 1 << 28 if exact else _SKETCH_MOST),
        "shared_rows": (0, 1 << 30),
        "sketch_bytes": (4, 1 << 40),
        "memory_bytes": (1, 1 << 60),
    }
    for name, (least, most) in bounds.items():
        value = config[name]
        if value is None and name in ("sketch_bytes", "memory_bytes"):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _refused(f"{name} is {value!r}", f"pass a whole number from {least:,} to {most:,}")
    if not 0 <= config["scale"] < float("inf"):
        raise _refused(f"scale is {config['scale']}", "pass a non-negative number")
    memory, folder = config["memory_bytes"], config["spill_folder"]
    if (memory is None) != (folder is None):
        raise _refused("memory_bytes and spill_folder come together", "pass both or neither")
    if folder is not None and not Path(folder).is_dir():
        raise _refused(f"spill_folder {folder!r} is no folder", "make it first")


def check_ids(ids: Tensor, where: str) -> None:
    """Refuse ids that are not int64 with a ShapeError.

    Args:
        ids: of a look-up.
        where: the class that was asked.
    """
    if ids.dtype != torch.int64:
        raise ShapeError(
            f"ids are {ids.dtype}",
            where=where,
            remedy="pass int64: a float cannot tell large ids apart; strings go through data.hash_ids",
        )


def _refused(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, where="DynamicEmbedding", remedy=remedy)
