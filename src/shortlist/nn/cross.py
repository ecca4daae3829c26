"""Explicit products of features: the cross layers of the deep and cross networks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError


class Cross(nn.Module):
    """One cross layer: `base * (W inputs + b + diag_scale * inputs) + inputs`.

    Stacked, layer number `n` gives products of up to `n + 1` features. With a projection, `W` has low rank
    (`V U`), which keeps nearly all of the quality at a fraction of the work.

    Args:
        width: number of features.
        projection_dim: rank of the weights; None for a full matrix.
        diag_scale: added to the diagonal of the weights, which steadies a deep stack; not negative.
        preactivation: applied before the product with the base, such as `torch.relu`; None for none.
        bias: whether there is a bias.

    Raises:
        ConfigError: `diag_scale` is negative, or a width is less than 1.

    Source: Wang et al., DCN V2 (WWW 2021); `projection_dim` is its mixture with one expert.
    """

    def __init__(
        self,
        width: int,
        projection_dim: int | None = None,
        *,
        diag_scale: float = 0.0,
        preactivation: Callable[[Tensor], Tensor] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if diag_scale < 0:
            raise ConfigError(
                f"diag_scale must not be negative, got {diag_scale}", where="Cross", remedy="use 0.0"
            )
        if width < 1 or (projection_dim is not None and projection_dim < 1):
            raise ConfigError(
                f"width is {width} and projection_dim {projection_dim}",
                where="Cross",
                remedy="use at least 1",
            )
        self.width, self.diag_scale, self.preactivation = width, diag_scale, preactivation
        self.project = None if projection_dim is None else nn.Linear(width, projection_dim, bias=False)
        self.weigh = nn.Linear(projection_dim or width, width, bias=bias)
        for layer in (self.weigh, self.project):
            if layer is not None:
                nn.init.trunc_normal_(layer.weight, std=0.05, a=-0.1, b=0.1)
        if bias:
            nn.init.zeros_(self.weigh.bias)

    def forward(self, base: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Cross the base features with the output of the layer before.

        Args:
            base: `[batch, width]`, the stack's input.
            inputs: `[batch, width]`, the output of the layer before; the base for the first layer.

        Returns:
            `[batch, width]`.

        Raises:
            ShapeError: a width differs.
        """
        inputs = base if inputs is None else inputs
        if base.shape[-1] != self.width or inputs.shape != base.shape:
            raise ShapeError(
                f"base is {tuple(base.shape)}, inputs {tuple(inputs.shape)}, the width {self.width}",
                where="Cross",
                remedy="both must be [batch, width]",
            )
        weighed: Tensor = self.weigh(inputs if self.project is None else self.project(inputs))
        if self.diag_scale:
            weighed = weighed + self.diag_scale * inputs
        if self.preactivation is not None:
            weighed = self.preactivation(weighed)
        return base * weighed + inputs


class MultiLayerDCN(nn.Module):
    """A stack of low-rank cross layers.

    Args:
        width: number of features.
        projection_dim: rank of each layer's weights.
        layers: how many layers.
        bias: whether layers have a bias.
    """

    def __init__(self, width: int, projection_dim: int = 1, *, layers: int = 3, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Cross(width, projection_dim, bias=bias) for _ in range(layers))

    def forward(self, base: Tensor) -> Tensor:
        """`[batch, width]` to `[batch, width]`."""
        crossed = base
        for layer in self.layers:
            crossed = layer(base, crossed)
        return crossed
