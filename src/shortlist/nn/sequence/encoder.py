"""From the embeddings of what a user did to what the user may do next, at every event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError, did_you_mean
from shortlist.nn.sequence.dropout import dropout
from shortlist.nn.sequence.gru import GRUBlock
from shortlist.nn.sequence.heads import check_heads
from shortlist.nn.sequence.hstu import HSTUBlock
from shortlist.nn.sequence.layout import SequenceLayout
from shortlist.nn.sequence.time_gaps import NUM_GAPS, gaps_before
from shortlist.nn.sequence.transformer import TransformerBlock

Block = Literal["transformer", "hstu", "gru"]
BLOCKS: tuple[Block, ...] = ("transformer", "hstu", "gru")


class SequenceEncoder(nn.Module):
    """Positions, blocks and a last normalisation over sequences of embeddings.

    The output at an event depends on that event and on those before it alone: one pass trains on every
    position at once, and the output at the last event is what a request is answered with.

    Args:
        dim: width of the events.
        block: `"transformer"` (SASRec), `"hstu"` or `"gru"` (GRU4Rec).
        num_blocks: how many of them.
        heads: attention heads.
        length: the longest sequence.
        dropout: share that training hides of the events and in the blocks.
        time_gaps: whether the time between events counts.

    Raises:
        ConfigError: the block is unknown or a number is out of range.
    """

    def __init__(
        self,
        dim: int,
        *,
        block: Block = "transformer",
        num_blocks: int = 2,
        heads: int = 1,
        length: int = 200,
        dropout: float = 0.2,
        time_gaps: bool = False,
    ) -> None:
        super().__init__()
        check_settings(dim, block=block, num_blocks=num_blocks, heads=heads, length=length, dropout=dropout)
        self.length, self.dropout = length, dropout
        # A recurrent state knows by itself how far it has come.
        self.positions = None if block == "gru" else nn.Embedding(length, dim)
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=dim**-0.5)
        self.gaps = nn.Embedding(NUM_GAPS, dim) if time_gaps else None
        if self.gaps is not None:
            nn.init.zeros_(self.gaps.weight)
        make: dict[str, Callable[[], nn.Module]] = {
            "transformer": lambda: TransformerBlock(dim, heads=heads, dropout=dropout),
            "hstu": lambda: HSTUBlock(dim, heads=heads, length=length, dropout=dropout, time_gaps=time_gaps),
            "gru": lambda: GRUBlock(dim, dropout=dropout),
        }
        self.blocks = nn.ModuleList(make[block]() for _ in range(num_blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(self, sequences: Ragged, times: Ragged | None = None) -> Tensor:
        """Encode every event in the light of those before it.

        Args:
            sequences: rows of `[dim]` embeddings, oldest first; quickest where the longest rows come first.
            times: int64 seconds, aligned with the sequences; needed where `time_gaps` is on.

        Returns:
            `[total, dim]`, aligned with the events.

        Raises:
            ConfigError: the times are missing.
            ShapeError: a sequence is too long.
        """
        lengths = sequences.lengths
        if len(lengths) and int(lengths.max()) > self.length:
            raise ShapeError(
                f"a sequence has {int(lengths.max())} events, more than length={self.length}",
                remedy="keep the latest events of each sequence",
            )
        if self.gaps is not None and times is None:
            raise ConfigError("time_gaps is on, but the times are missing", remedy="pass times=")
        if len(sequences.values) == 0:
            return sequences.values
        if not bool((lengths.diff() > 0).any()):
            return self._encode(sequences.values, sequences.offsets, times)
        order = lengths.argsort(descending=True, stable=True)
        events = Ragged(torch.arange(len(sequences.values), device=lengths.device), sequences.offsets)
        moved = events.take(order)
        there = None if times is None else Ragged(times.values[moved.values], moved.offsets)
        encoded = self._encode(sequences.values[moved.values], moved.offsets, there)
        return encoded[moved.values.argsort()]

    def _encode(self, values: Tensor, offsets: Tensor, times: Ragged | None) -> Tensor:
        layout = SequenceLayout(offsets, None if times is None or self.gaps is None else times.values)
        if self.positions is not None:
            values = values + self.positions(layout.positions)
        if self.gaps is not None and layout.times is not None:
            values = values + self.gaps(gaps_before(layout, layout.times))
        values = dropout(values, self.dropout, self.training)
        for block in self.blocks:
            values = block(values, layout)
        return self.norm(values)  # type: ignore[no-any-return]


def check_settings(dim: int, *, block: str, num_blocks: int, heads: int, length: int, dropout: float) -> None:
    """Refuse settings that no encoder can have; see `SequenceEncoder`.

    Raises:
        ConfigError: the block is unknown or a number is out of range.
    """
    if block not in BLOCKS:
        raise ConfigError(f"block {block!r} is unknown", remedy=did_you_mean(block, BLOCKS))
    for name, value in {"dim": dim, "num_blocks": num_blocks, "length": length}.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}", remedy="such as 64, 2 or 200")
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout must be from 0 to below 1, got {dropout}", remedy="such as 0.2")
    check_heads(dim, heads)
