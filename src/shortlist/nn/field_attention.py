"""Fields that look at each other: self-attention over the features of a row."""

from __future__ import annotations

from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError


class FieldAttention(nn.Module):
    """Multi-head self-attention among a row's fields, with a residual and a ReLU.

    Args:
        dim: width of a field.
        out_dim: width of a field afterwards; a multiple of `heads`.
        heads: how many attentions work side by side.

    Raises:
        ConfigError: a number is not positive, or `out_dim` is no multiple of `heads`.

    Source: Song et al., AutoInt (CIKM 2019): scores are not divided by the root of the heads' width.
    """

    def __init__(self, dim: int, out_dim: int, *, heads: int = 2) -> None:
        super().__init__()
        if min(dim, out_dim, heads) < 1 or out_dim % heads:
            raise ConfigError(
                f"dim is {dim}, out_dim {out_dim} and heads {heads}",
                where="FieldAttention",
                remedy="pass positive numbers, out_dim a multiple of heads",
            )
        self.dim, self.out_dim, self.heads = dim, out_dim, heads
        self.projection = nn.Linear(dim, 3 * out_dim, bias=False)  # queries, keys, values
        self.residual = nn.Linear(dim, out_dim, bias=False)

    def forward(self, fields: Tensor) -> Tensor:
        """Let every field attend to all.

        Args:
            fields: `[batch, num_fields, dim]` float.

        Returns:
            `[batch, num_fields, out_dim]`.

        Raises:
            ShapeError: the fields are not `dim` wide.
        """
        if fields.ndim != 3 or fields.shape[2] != self.dim:
            raise ShapeError(f"fields are {tuple(fields.shape)}", remedy=f"pass [batch, fields, {self.dim}]")
        projected = self.projection(fields).unflatten(2, (3, self.heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)  # each [batch, heads, num_fields, width]
        weights = (queries @ keys.mT).softmax(dim=-1)
        attended = (weights @ values).transpose(1, 2).flatten(2)
        return nn.functional.relu(attended + self.residual(fields))
