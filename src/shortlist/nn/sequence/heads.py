"""Attention heads share the width of a block."""

from __future__ import annotations

from shortlist.errors import ConfigError


def check_heads(dim: int, heads: int) -> None:
    """Refuse heads that do not divide the width.

    Args:
        dim: width of a block.
        heads: attention heads.

    Raises:
        ConfigError: the width is no multiple of the heads.
    """
    if heads < 1 or dim % heads:
        raise ConfigError(
            f"{heads} heads cannot share a width of {dim}", remedy="give a number of heads that divides dim"
        )
