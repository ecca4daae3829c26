"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, did_you_mean

Activation = str | Callable[[Tensor], Tensor]
"""The name of an activation (`"relu"`, …), or any function of a tensor."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": nn.functional.elu,
    "gelu": nn.functional.gelu,
    "leaky_relu": nn.functional.leaky_relu,
    "relu": nn.functional.relu,
    "selu": nn.functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": nn.functional.silu,
    "softplus": nn.functional.softplus,
    "tanh": torch.tanh,
}


class MLP(nn.Module):
    """A stack of linear layers, each followed by norm, activation and dropout as asked.

    Args:
        in_features: width of the input.
        units: width of each layer's output, the last being the result's.
        activation: after every layer but the last.
        final_activation: after the last layer; None leaves it linear.
        dropout: share of a hidden layer's outputs that training zeroes, in [0, 1).
        layer_norm: whether a hidden layer's outputs are normalised before their activation, each row by
            itself.
        batch_norm: whether they are normalised over the batch; not with `layer_norm`.
        hidden_output: whether the last layer is a hidden one like the others: normalised, activated, dropped
            out.
        bias: whether the linear layers have one.

    Raises:
        ConfigError: a width is not positive, an activation is unknown, the dropout is out of range, or both
            norms are asked for.
    """

    def __init__(
        self,
        in_features: int,
        units: Sequence[int],
        *,
        activation: Activation = "relu",
        final_activation: Activation | None = None,
        dropout: float = 0.0,
        layer_norm: bool = False,
        batch_norm: bool = False,
        hidden_output: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        widths = [in_features, *units]
        if len(widths) < 2 or min(widths) < 1:
            raise ConfigError(
                f"in_features is {in_features} and units are {list(units)}",
                remedy="pass positive widths, at least one unit",
            )
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout}", remedy="pass a share in [0, 1), such as 0.1")
        if layer_norm and batch_norm:
            raise ConfigError("layer_norm and batch_norm are both on", remedy="choose one")
        self.in_features = in_features
        self.out_features = widths[-1]
        self.linears = nn.ModuleList(
            nn.Linear(before, after, bias=bias) for before, after in pairwise(widths)
        )
        self.num_hidden = len(units) if hidden_output else len(units) - 1
        norm = BatchNorm if batch_norm else nn.LayerNorm
        normed = widths[1 : self.num_hidden + 1] if layer_norm or batch_norm else []
        self.norms = nn.ModuleList(norm(width) for width in normed) if layer_norm or batch_norm else None
        self.dropout = nn.Dropout(dropout)
        self.activation = activation_function(activation)
        self.final_activation = None if final_activation is None else activation_function(final_activation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers.

        Args:
            inputs: `[..., in_features]` float; `[batch, in_features]` with `batch_norm`.

        Returns:
            `[..., units[-1]]`.
        """
        hidden = inputs
        for position, linear in enumerate(self.linears):
            hidden = linear(hidden)
            if position < self.num_hidden:
                if self.norms is not None:
                    hidden = self.norms[position](hidden)
                hidden = self.dropout(self.activation(hidden))
        return hidden if self.final_activation is None else self.final_activation(hidden)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that a batch of one row passes as in evaluation: it has no deviation to divide by.

    Args:
        num_features: width of the rows.
    """

    def forward(self, input: Tensor) -> Tensor:
        """`[batch, num_features]` to the same."""
        if self.training and len(input) < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def activation_function(activation: Activation) -> Callable[[Tensor], Tensor]:
    """Look an activation up by name.

    Args:
        activation: a name, or a function, which is returned as it is.

    Returns:
        A function of a tensor.

    Raises:
        ConfigError: the name is unknown.
    """
    if not isinstance(activation, str):
        return activation
    if activation not in _ACTIVATIONS:
        raise ConfigError(
            f"there is no activation {activation!r}", remedy=did_you_mean(activation, _ACTIVATIONS)
        )
    return _ACTIVATIONS[activation]
