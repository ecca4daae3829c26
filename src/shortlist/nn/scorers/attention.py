"""Items that look at all the others of their list."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from shortlist.data.list_blocks import ListBlock, list_blocks
from shortlist.data.ragged import Ragged
from shortlist.nn.mlp import MLP
from shortlist.nn.scorers.scaling import ItemScaling, as_scores
from shortlist.nn.sequence.heads import check_heads


class AttentionScorer(nn.Module):
    """Scores an item from its own features and from what self-attention sees in its list.

    Attention knows no positions, so a list has the same scores in whatever order its items are given.

    Args:
        in_features: width of the features.
        dim: width of what attention mixes.
        heads: attention heads; they share the width.
        layers: attention layers, one after another.
        hidden: widths of the hidden layers after them.
        dropout: share that training hides of what a layer adds.
        log1p: whether features first become `sign(x) * log(1 + |x|)`.

    Raises:
        ConfigError: the width is no multiple of the heads, a width is not positive, or the dropout is out of
            range.

    Source: Pasumarthi et al., Permutation equivariant document interaction network for neural learning to
    rank (ICTIR 2020).
    """

    def __init__(
        self,
        in_features: int,
        *,
        dim: int = 32,
        heads: int = 2,
        layers: int = 1,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        log1p: bool = False,
    ) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.scaling = ItemScaling(in_features, log1p=log1p)
        self.projection = nn.Linear(in_features, dim)
        self.attention = nn.ModuleList(
            ListAttention(dim, heads=heads, dropout=dropout) for _ in range(layers)
        )
        self.layers = MLP(in_features + dim, (*hidden, 1), dropout=dropout)

    def forward(self, features: Ragged) -> Ragged:
        """Score all items.

        Args:
            features: lists whose values are `[total, in_features]`.

        Returns:
            Lists of scores, `[total]`.

        Raises:
            DataError: a feature is not a finite number.
            ShapeError: the values have another width.
        """
        values = self.scaling(features)
        blocks = list(list_blocks(features.offsets, pairs=True))
        mixed = self.projection(values)
        for layer in self.attention:
            mixed = layer(mixed, blocks)
        return as_scores(self.layers(torch.cat([values, mixed], dim=1)), features)


class ListAttention(nn.Module):
    """Self-attention within each list and a feed-forward layer, each added to what came in.

    Args:
        dim: width of the items.
        heads: attention heads.
        dropout: share that training hides of what each part adds.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.ReLU(inplace=True), nn.Linear(2 * dim, dim)
        )

    def forward(self, values: Tensor, blocks: Sequence[ListBlock]) -> Tensor:
        """Mix the items of each list.

        Args:
            values: `[total, dim]`.
            blocks: where the lists lie.

        Returns:
            `[total, dim]`.
        """
        attended = self._attend(self.projection(self.norm(values)), blocks)
        values = values + self.dropout(self.output(attended))
        deeper: Tensor = self.dropout(self.feed_forward(values))
        return values + deeper

    def _attend(self, projected: Tensor, blocks: Sequence[ListBlock]) -> Tensor:
        width = projected.shape[1] // 3
        if not blocks:
            return projected[:, :width]
        mixed, places = [], []
        for block in blocks:
            dense = nn.functional.embedding(block.places, projected)
            split = dense.view(*dense.shape[:2], 3, self.heads, width // self.heads)
            queries, keys, values = split.permute(2, 0, 3, 1, 4)  # [count, heads, length, dim / heads] each
            # What has ended is looked at by nobody, so its share is exactly 0.
            seen = None if block.present is None else block.present[:, None, None, :]
            found = nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
            found = found.transpose(1, 2).flatten(2)
            if block.present is None:
                mixed.append(found.flatten(0, 1))
                places.append(block.places.flatten())
            else:
                mixed.append(found[block.present])
                places.append(block.places[block.present])
        everything = projected.new_zeros(len(projected), width)
        return everything.index_copy(0, torch.cat(places), torch.cat(mixed))
