"""How the losses of several tasks become one: weights that are learned, or gradients that are reconciled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from shortlist.errors import ConfigError

LEAST_WEIGHT = 1e-3  # of GradNorm: a loss that is not weighed at all could never come back


class Uncertainty(nn.Module):
    """`exp(-s) * loss + s / 2` for each task, where the task's own `s` is the log of its variance.

    Args:
        names: of the tasks.

    Source: Kendall, Gal and Cipolla, Multi-task learning using uncertainty to weigh losses (CVPR 2018).
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.log_variances = nn.Parameter(torch.zeros(len(names)))

    def weights(self) -> Tensor:
        """`[tasks]` what each loss is multiplied with at present."""
        return torch.exp(-self.log_variances.detach())

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """The total of the losses that are there.

        Args:
            losses: scalars by task; tasks without labels in the batch are left out, and their weights stay.
            shared: not needed.

        Returns:
            Scalar.
        """
        places = [self.names.index(name) for name in losses]
        chosen = self.log_variances[places]
        return (torch.exp(-chosen) * torch.stack(list(losses.values())) + chosen / 2).sum()


class GradNorm(nn.Module):
    """Weights under which the tasks' gradients have the norms that their training rates call for.

    The norm of a task's weighted gradient should be the mean norm times the task's relative inverse training
    rate to the power of alpha: `mean(G) * r ** alpha`, where `r` is the loss over its first value, relative
    to the mean of that over the tasks. The weights are parameters with the gradient of
    `sum(abs(G - target))`, and add up to the number of tasks.

    Args:
        names: of the tasks.
        alpha: how strongly tasks that lag are pulled along.

    Source: Chen et al., GradNorm: gradient normalization for adaptive loss balancing (ICML 2018), equations 1
    and 2 and algorithm 1.
    """

    initial: Tensor

    def __init__(self, names: Sequence[str], *, alpha: float) -> None:
        super().__init__()
        self.names, self.alpha = tuple(names), alpha
        self.loss_weights = nn.Parameter(torch.ones(len(names)))
        self.register_buffer("initial", torch.full((len(names),), torch.nan))

    def weights(self) -> Tensor:
        """`[tasks]` what each loss is multiplied with at present."""
        return _normalised(self.loss_weights.detach())

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """The weighted total, whose gradient also moves the weights.

        Args:
            losses: scalars by task; tasks without labels in the batch are left out.
            shared: the parameters whose gradients are compared, such as the last shared layer.

        Returns:
            Scalar.
        """
        places = [self.names.index(name) for name in losses]
        values = torch.stack(list(losses.values()))
        with torch.no_grad():  # the renormalisation that the paper makes after each step
            self.loss_weights.copy_(_normalised(self.loss_weights))
        weights = self.loss_weights.detach()[places]
        slopes = self._slopes(places, values, weights, shared)
        # Nothing is added to the value of the loss, only to the gradient of the weights.
        pull = (self.loss_weights[places] * slopes).sum()
        return (weights * values).sum() + (pull - pull.detach())

    def _slopes(self, places: list[int], values: Tensor, weights: Tensor, shared: Sequence[Tensor]) -> Tensor:
        """`[present]`: how `sum(abs(G - target))` changes with each weight, the target held fixed."""
        norms: Tensor = _gradients(values, shared).norm(dim=1)
        found = values.detach().float()
        first = self.initial[places]
        first = torch.where(first.isnan(), found, first)
        self.initial[places] = first
        rates = found / first.clamp(min=torch.finfo(first.dtype).tiny)
        relative = rates / rates.mean().clamp(min=torch.finfo(first.dtype).tiny)
        weighted = weights * norms
        target = weighted.mean() * relative.pow(self.alpha)
        return torch.sign(weighted - target) * norms


class PCGrad(nn.Module):
    """Gradients without conflict: each task's gradient gives up what points against another task's.

    Where the gradients of two tasks have a negative inner product, each is projected onto the normal plane of
    the other; over the other tasks in random order. The sum of what is left moves the shared parameters.

    Args:
        names: of the tasks.
        given: `[tasks]` weights of the losses.

    Source: Yu et al., Gradient surgery for multi-task learning (NeurIPS 2020), algorithm 1.
    """

    def __init__(self, names: Sequence[str], given: Sequence[float]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("given", torch.tensor(list(given)), persistent=False)

    given: Tensor

    def weights(self) -> Tensor:
        """`[tasks]` what each loss is multiplied with."""
        return self.given

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """The weighted total, with the reconciled gradient for the shared parameters.

        Args:
            losses: scalars by task; tasks without labels in the batch are left out.
            shared: the parameters that several tasks move.

        Returns:
            Scalar.
        """
        places = [self.names.index(name) for name in losses]
        values = self.given[places] * torch.stack(list(losses.values()))
        if len(places) < 2:
            return values.sum()
        gradients = _gradients(values, shared)
        change = _reconciled(gradients).sum(dim=0) - gradients.sum(dim=0)
        parts = torch.split(change, [parameter.numel() for parameter in shared])
        corrections = [part.view_as(each) for part, each in zip(parts, shared, strict=True)]
        corrected: Tensor = _Corrected.apply(values.sum(), corrections, *shared)  # type: ignore[no-untyped-call]
        return corrected


class _Corrected(torch.autograd.Function):
    """A value whose gradient for some parameters has a given tensor added."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, corrections: Sequence[Tensor], *parameters: Tensor) -> Tensor:
        ctx.corrections = corrections
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return gradient, None, *(gradient * each for each in ctx.corrections)


def _gradients(values: Tensor, shared: Sequence[Tensor]) -> Tensor:
    """`[tasks, parameters]` the gradient of each loss for all shared parameters in a row."""
    if not shared:
        raise ConfigError(
            "gradients can be balanced only for parameters that are shared, and none were named",
            where="MultiTask",
            remedy="pass shared=list(tower.parameters()) with the losses",
        )
    rows = []
    for value in values:
        found = torch.autograd.grad(value, shared, retain_graph=True, allow_unused=True)
        parts = [
            torch.zeros_like(parameter) if each is None else each
            for each, parameter in zip(found, shared, strict=True)
        ]
        if any(part.is_sparse for part in parts):
            raise ConfigError(
                "a shared parameter has sparse gradients, which cannot be balanced",
                where="MultiTask",
                remedy="leave the tables out of shared=, or make the tower with sparse=False",
            )
        rows.append(torch.cat([part.detach().reshape(-1).float() for part in parts]))
    return torch.stack(rows)


def _reconciled(gradients: Tensor) -> Tensor:
    """Each row without its parts against the other rows, taken as they were, in random order."""
    squares = gradients.square().sum(dim=1).clamp(min=torch.finfo(gradients.dtype).tiny)
    left = gradients.clone()
    for row in range(len(gradients)):
        for other in torch.randperm(len(gradients)).tolist():
            if other != row:
                # No branch on the value: that would wait for a GPU.
                against = (left[row] @ gradients[other]).clamp(max=0)
                left[row] -= against / squares[other] * gradients[other]
    return left


def _normalised(weights: Tensor) -> Tensor:
    positive = weights.clamp(min=LEAST_WEIGHT)
    return positive * (len(weights) / positive.sum())
