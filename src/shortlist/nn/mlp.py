"""Layers of weights with an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from shortlist.errors import ConfigError

Activation = Callable[[], nn.Module]


class MLP(nn.Module):
    """A multi-layer perceptron.

    Args:
        inputs: width of the input.
        units: width of each layer; the last is the output's.
        activation: makes the module after each layer but the last.
        final_activation: makes the module after the last layer; None for none.
        dropout: share of each hidden layer that training hides, from 0 to below 1.
        bias: whether layers have a bias.

    Raises:
        ConfigError: there is no layer, or a width is less than 1.
    """

    def __init__(
        self,
        inputs: int,
        units: Sequence[int],
        *,
        activation: Activation = nn.ReLU,
        final_activation: Activation | None = None,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not units or min(inputs, *units) < 1:
            raise ConfigError(
                f"the layers' widths are {list(units)} on an input of {inputs}",
                where="MLP",
                remedy="give at least one layer, each at least 1 wide",
            )
        layers: list[nn.Module] = []
        for number, width in enumerate(units):
            layers.append(nn.Linear(inputs, width, bias=bias))
            if number < len(units) - 1:
                layers.append(activation())
                if dropout > 0:
                    layers.append(nn.Dropout(dropout))
            inputs = width
        if final_activation is not None:
            layers.append(final_activation())
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., units[-1]]`."""
        return self.layers(inputs)  # type: ignore[no-any-return]
