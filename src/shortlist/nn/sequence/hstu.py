"""The block of HSTU: pointwise attention that counts, gated by the event itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.sequence.dropout import dropout
from shortlist.nn.sequence.heads import check_heads
from shortlist.nn.sequence.layout import Group, SequenceLayout
from shortlist.nn.sequence.time_gaps import NUM_GAPS, gap_buckets


class HSTUBlock(nn.Module):
    """Attention with SiLU in place of softmax, so that how often something happened is not normalised away.

    A learned bias for each distance in events, and with `time_gaps` for each doubling of the seconds between
    two events, is added to the scores.

    Args:
        dim: width of the events.
        heads: attention heads; they share the width.
        length: the longest sequence; it divides the attention, whatever the batch holds.
        dropout: share of the gated attention that training hides.
        time_gaps: whether the time between events counts.

    Raises:
        ConfigError: the width is no multiple of the heads.

    Source: Zhai et al., Actions speak louder than words: trillion-parameter sequential transducers for
    generative recommendations (ICML 2024).
    """

    def __init__(
        self, dim: int, *, heads: int = 1, length: int = 200, dropout: float = 0.2, time_gaps: bool = False
    ) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.length, self.dropout = heads, length, dropout
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 4 * dim)
        self.attended_norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, dim)
        self.distance_bias = nn.Parameter(torch.zeros(length))
        self.gap_bias = nn.Parameter(torch.zeros(NUM_GAPS)) if time_gaps else None

    def forward(self, values: Tensor, layout: SequenceLayout) -> Tensor:
        """Mix the events of each sequence.

        Args:
            values: `[total, dim]` packed events.
            layout: of the sequences, with times where `time_gaps` is on.

        Returns:
            `[total, dim]`.
        """
        dim = values.shape[1]
        gate, rest = torch.split(functional.silu(self.projection(self.norm(values))), [dim, 3 * dim], dim=1)
        attended = layout.by_group(rest, self._attend)
        gated = dropout(self.attended_norm(attended) * gate, self.dropout, self.training)
        return values + self.output(gated)  # type: ignore[no-any-return]

    def _attend(self, projected: Tensor, group: Group) -> Tensor:
        rows, length, width = projected.shape
        split = projected.view(rows, length, 3, self.heads, width // (3 * self.heads))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # [rows, heads, length, dim / heads] each
        scores = queries @ keys.transpose(2, 3) + self._bias(group)
        weights = (functional.silu(scores) / self.length).tril()
        return torch.flatten((weights @ values).transpose(1, 2), start_dim=2)

    def _bias(self, group: Group) -> Tensor:
        """`[1 or rows, 1, length, length]`, from the earlier event (column) to the later (row)."""
        place = torch.arange(group.length, device=self.distance_bias.device)
        distance = (place[:, None] - place).clamp(min=0)
        bias = self.distance_bias.index_select(0, distance.flatten()).view(1, 1, *distance.shape)
        if self.gap_bias is not None and group.times is not None:
            buckets = gap_buckets(group.times[:, :, None] - group.times[:, None, :])
            bias = bias + self.gap_bias.index_select(0, buckets.flatten()).view(buckets.shape)[:, None]
        return bias
