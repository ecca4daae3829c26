"""The block of GRU4Rec: a state that each event updates."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from shortlist.nn.sequence.dropout import dropout
from shortlist.nn.sequence.layout import SequenceLayout


class GRUBlock(nn.Module):
    """A layer of gated recurrent units over packed sequences.

    Args:
        dim: width of the events and of the state.
        dropout: share of the state that training hides from the next layer.

    Source: Hidasi et al., Session-based recommendations with recurrent neural networks (ICLR 2016).
    """

    def __init__(self, dim: int, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.gru = nn.GRU(dim, dim)
        self.dropout = dropout

    def forward(self, values: Tensor, layout: SequenceLayout) -> Tensor:
        """The state after each event.

        Args:
            values: `[total, dim]` packed events.
            layout: of the sequences.

        Returns:
            `[total, dim]`.
        """
        states = layout.by_step(values, lambda packed: cast(PackedSequence, self.gru(packed)[0]))
        return dropout(states, self.dropout, self.training)
