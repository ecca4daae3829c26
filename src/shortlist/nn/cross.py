"""Explicit feature crosses: the deep and cross network, first and second version."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError
from shortlist.nn.mlp import Activation, activation_function

# Of the kernels at the start, small enough that a fresh cross hardly changes its input.
_KERNEL_DEVIATION = 0.05


class Cross(nn.Module):
    """One layer of feature crosses between an input and what the layers before made of it.

    In matrix form (DCN-v2): `x0 * (activation(x @ kernel + bias) + diag_scale * x) + x`, where the kernel may
    be the product of two thin ones. In vector form (DCN): `x0 * (x @ kernel) + bias + x`.

    Args:
        dim: width of the inputs and of the output.
        form: `"matrix"` or `"vector"`.
        projection_dim: width between the two thin kernels of a low-rank layer, best at most `dim / 4`; None
            for one full kernel. Matrix form only.
        diag_scale: added to the kernel's diagonal, which steadies training; not negative. Matrix form only.
        preactivation: applied to the product before it meets `x0`; None for none. Matrix form only.
        bias: whether there is one.

    Raises:
        ConfigError: a width is not positive, `diag_scale` is negative, the form or the activation is unknown,
            or the vector form is given what belongs to the matrix form.

    Source: Wang et al., Deep & cross network for ad click predictions (2017), and DCN V2 (WWW 2021).
    """

    def __init__(
        self,
        dim: int,
        *,
        form: Literal["matrix", "vector"] = "matrix",
        projection_dim: int | None = None,
        diag_scale: float = 0.0,
        preactivation: Activation | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        _check_cross(dim, form, projection_dim, diag_scale)
        if form == "vector" and (projection_dim is not None or diag_scale or preactivation is not None):
            raise ConfigError(
                "form='vector' has no projection_dim, diag_scale or preactivation",
                remedy="leave them out, or use form='matrix'",
            )
        self.dim, self.form, self.diag_scale = dim, form, diag_scale
        self.preactivation = None if preactivation is None else activation_function(preactivation)
        self.down = None if projection_dim is None else nn.Linear(dim, projection_dim, bias=False)
        self.kernel = nn.Linear(projection_dim or dim, 1 if form == "vector" else dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the kernels from a truncated normal and zero the bias.

        Args:
            generator: of the random numbers; None for PyTorch's own.
        """
        for linear in (self.down, self.kernel):
            if linear is not None:
                nn.init.trunc_normal_(
                    linear.weight,
                    std=_KERNEL_DEVIATION,
                    a=-2 * _KERNEL_DEVIATION,
                    b=2 * _KERNEL_DEVIATION,
                    generator=generator,
                )
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x0: Tensor, x: Tensor | None = None) -> Tensor:
        """Cross `x0` with `x`.

        Args:
            x0: `[..., dim]` float, the network's input.
            x: `[..., dim]` the previous layer's output; None for `x0`.

        Returns:
            `[..., dim]`.

        Raises:
            ShapeError: an input is not `dim` wide or the shapes differ.
        """
        x = x0 if x is None else x
        if x0.shape != x.shape or x0.shape[-1] != self.dim:
            raise ShapeError(
                f"x0 is {tuple(x0.shape)} and x is {tuple(x.shape)} for a Cross of dim {self.dim}",
                remedy=f"pass [..., {self.dim}] for both",
            )
        product: Tensor = self.kernel(x if self.down is None else self.down(x))
        if self.form == "vector":
            crossed = x0 * product + x
            return crossed if self.bias is None else crossed + self.bias
        if self.bias is not None:
            product = product + self.bias
        if self.preactivation is not None:
            product = self.preactivation(product)
        if self.diag_scale:
            product = product + self.diag_scale * x
        return x0 * product + x

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"dim={self.dim}, form={self.form!r}, diag_scale={self.diag_scale}"


class CrossNetwork(nn.Module):
    """Several crosses in a row, each between the network's input and the cross before.

    Args:
        dim: width of the input and of the output.
        num_layers: how many crosses; the output holds products of up to `num_layers + 1` features.
        projection_dim: width between each cross's two thin kernels; None for full kernels.
        bias: whether each cross has one.

    Raises:
        ConfigError: there are no layers or a width is not positive.

    Source: Wang et al., DCN V2 (WWW 2021).
    """

    def __init__(
        self, dim: int, num_layers: int = 3, *, projection_dim: int | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ConfigError(f"num_layers is {num_layers}", remedy="pass at least 1")
        self.layers = nn.ModuleList(
            Cross(dim, projection_dim=projection_dim, bias=bias) for _ in range(num_layers)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the crosses.

        Args:
            inputs: `[..., dim]` float.

        Returns:
            `[..., dim]`.

        Raises:
            ShapeError: the input is not `dim` wide.
        """
        crossed = inputs
        for layer in self.layers:
            crossed = layer(inputs, crossed)
        return crossed


def _check_cross(dim: int, form: str, projection_dim: int | None, diag_scale: float) -> None:
    if dim < 1:
        raise ConfigError(f"dim is {dim}", remedy="pass the width of the features, at least 1")
    if form not in ("matrix", "vector"):
        raise ConfigError(f"form is {form!r}", remedy="pass 'matrix' (DCN-v2) or 'vector' (DCN)")
    if projection_dim is not None and projection_dim < 1:
        raise ConfigError(
            f"projection_dim is {projection_dim}", remedy="pass a positive width such as dim // 4, or None"
        )
    if not diag_scale >= 0:
        raise ConfigError(f"diag_scale is {diag_scale}", remedy="pass 0 or more")
