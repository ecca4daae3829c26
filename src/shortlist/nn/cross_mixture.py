"""A layer of feature crosses whose kernel is a mixture of low-rank experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError


class CrossMixture(nn.Module):
    """Crosses in several small subspaces, mixed by gates that look at the input.

    `x0 * (sum_i gate_i(x) * up_i tanh(core_i tanh(down_i x)) + bias) + x`, the gates a softmax: each expert
    sees the features through `projection_dim` numbers of its own.

    Args:
        dim: width of the inputs and of the output.
        projection_dim: width of each expert's subspace, best at most `dim / 4`.
        num_experts: how many there are.

    Raises:
        ConfigError: a number is not positive.

    Source: Wang et al., DCN V2 (WWW 2021), section 3.4.
    """

    def __init__(self, dim: int, *, projection_dim: int = 32, num_experts: int = 4) -> None:
        super().__init__()
        if min(dim, projection_dim, num_experts) < 1:
            raise ConfigError(
                f"dim is {dim}, projection_dim {projection_dim} and num_experts {num_experts}",
                where="CrossMixture",
                remedy="pass positive numbers, such as projection_dim=32 and num_experts=4",
            )
        self.dim, self.num_experts = dim, num_experts
        # The experts side by side: one product takes the input to all subspaces, one comes back from them.
        self.down = nn.Linear(dim, num_experts * projection_dim, bias=False)
        self.core = nn.Parameter(torch.empty(num_experts, projection_dim, projection_dim))
        self.up = nn.Linear(num_experts * projection_dim, dim, bias=False)
        self.gate = nn.Linear(dim, num_experts, bias=False)
        self.bias = nn.Parameter(torch.zeros(dim))
        nn.init.normal_(self.core, std=projection_dim**-0.5)
        # As if each expert came back by itself: the gates add up to 1.
        nn.init.normal_(self.up.weight, std=(2 / (dim + projection_dim)) ** 0.5)

    def forward(self, x0: Tensor, x: Tensor | None = None) -> Tensor:
        """Cross `x0` with `x`.

        Args:
            x0: `[batch, dim]` float, the network's input.
            x: `[batch, dim]` the previous layer's output; None for `x0`.

        Returns:
            `[batch, dim]`.

        Raises:
            ShapeError: an input is not `dim` wide or the shapes differ.
        """
        x = x0 if x is None else x
        if x0.shape != x.shape or x0.shape[1:] != (self.dim,):
            raise ShapeError(
                f"x0 is {tuple(x0.shape)} and x is {tuple(x.shape)} for a CrossMixture of dim {self.dim}",
                remedy=f"pass [batch, {self.dim}] for both",
            )
        small = self.down(x).tanh().unflatten(1, (self.num_experts, -1))  # [batch, experts, projection_dim]
        small = torch.einsum("eij,bej->bei", self.core, small).tanh()
        gates = self.gate(x).softmax(dim=1)
        mixed: Tensor = self.up((small * gates[:, :, None]).flatten(1))
        return x0 * (mixed + self.bias) + x
