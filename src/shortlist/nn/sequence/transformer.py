"""The block of SASRec: each event looks back at all before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.nn.sequence.dropout import dropout
from shortlist.nn.sequence.heads import check_heads
from shortlist.nn.sequence.layout import Group, SequenceLayout


class TransformerBlock(nn.Module):
    """Causal self-attention and a feed-forward layer, each normalised before and added to what came in.

    Args:
        dim: width of the events.
        heads: attention heads; they share the width.
        dropout: share that training hides of what attention and the feed-forward layer add.

    Raises:
        ConfigError: the width is no multiple of the heads.

    Source: Kang & McAuley, Self-attentive sequential recommendation (ICDM 2018); normalised before each part,
    as in Xiong et al., On layer normalization in the transformer architecture (ICML 2020).
    """

    def __init__(self, dim: int, *, heads: int = 1, dropout: float = 0.2) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim),
        )

    def forward(self, values: Tensor, layout: SequenceLayout) -> Tensor:
        """Mix the events of each sequence.

        Args:
            values: `[total, dim]` packed events.
            layout: of the sequences.

        Returns:
            `[total, dim]`.
        """
        attended = layout.by_group(self.projection(self.norm(values)), self._attend)
        values = values + dropout(self.output(attended), self.dropout, self.training)
        deeper = self.feed_forward(values)
        return values + dropout(deeper, self.dropout, self.training)

    def _attend(self, projected: Tensor, group: Group) -> Tensor:
        rows, length, width = projected.shape
        split = projected.view(rows, length, 3, self.heads, width // (3 * self.heads))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # [rows, heads, length, dim / heads] each
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return torch.flatten(mixed.transpose(1, 2), start_dim=2)
