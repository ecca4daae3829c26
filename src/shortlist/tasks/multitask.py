"""Several tasks at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, did_you_mean
from shortlist.tasks.balance import GradNorm, PCGrad, Uncertainty

Balance = Literal["uncertainty", "gradnorm", "pcgrad"]
BALANCES: tuple[Balance, ...] = ("uncertainty", "gradnorm", "pcgrad")


class MultiTask(nn.Module):
    """The sum of several tasks' losses, with weights that are given or learned, or without their conflicts.

    `"uncertainty"` takes each loss by its noise: `exp(-s) * loss + s / 2`, where `s` is the log of the task's
    variance. At its best `s` every term's weighted loss is 1/2, so no task drowns the others.

    `"gradnorm"` moves the weights until the tasks' gradients have the norms that their training rates call
    for: a task that lags gets more. Losses must be positive.

    `"pcgrad"` lets each task's gradient give up what points against another's, for the shared parameters.

    The last two look at the gradients of the parameters that are passed as `shared`, with one backward pass a
    task. What is learned is a parameter of this module: give it to the optimizer. In evaluation mode, and
    without gradients, losses only add up by the weights that were given, so that epochs can be compared.

    Args:
        tasks: modules that answer a scalar loss, by name.
        weights: of each task's loss, non-negative; tasks that are not named weigh 1. Not where weights are
            learned.
        balance: `"uncertainty"`, `"gradnorm"`, `"pcgrad"`, or None for the weighted sum.
        alpha: of GradNorm: how strongly tasks that lag are pulled along; 0 asks for equal norms.

    Raises:
        ConfigError: there are no tasks, a weight is negative or belongs to no task, the balance is unknown,
            alpha is negative, or weights are both given and learned.

    Source: Kendall et al., Multi-task learning using uncertainty to weigh losses (CVPR 2018); Chen et al.,
    GradNorm (ICML 2018); Yu et al., Gradient surgery for multi-task learning (NeurIPS 2020).
    """

    def __init__(
        self,
        tasks: Mapping[str, nn.Module],
        *,
        weights: Mapping[str, float] | None = None,
        balance: Balance | None = None,
        alpha: float = 1.5,
    ) -> None:
        super().__init__()
        given = dict(weights or {})
        if not tasks:
            raise ConfigError("there are no tasks", remedy="pass at least one, by name")
        if balance is not None and balance not in BALANCES:
            raise ConfigError(f"balance {balance!r} is unknown", remedy=did_you_mean(balance, BALANCES))
        if balance in ("uncertainty", "gradnorm") and given:
            raise ConfigError(
                f"weights are given and balance={balance!r} would learn them", remedy="drop one of the two"
            )
        if not 0 <= alpha < float("inf"):
            raise ConfigError(f"alpha is {alpha}", remedy="pass 0 or more, such as 1.5")
        for name, weight in given.items():
            if name not in tasks:
                raise ConfigError(f"there is no task {name!r} to weigh", remedy=did_you_mean(name, tasks))
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"the weight of task {name!r} is {weight}", remedy="pass 0 or more")
        self.tasks = nn.ModuleDict(tasks)
        self.given = {name: float(given.get(name, 1.0)) for name in tasks}
        self.balance = _balance(balance, self.given, alpha)

    @property
    def weights(self) -> dict[str, float]:
        """What each task's loss is multiplied with at present."""
        if self.balance is None:
            return dict(self.given)
        return dict(zip(self.given, self.balance.weights().tolist(), strict=True))

    def forward(
        self, inputs: Mapping[str, Mapping[str, Any] | None], *, shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """The total loss of a batch.

        Args:
            inputs: the arguments of each task by its name, for example
                `{"rating": {"predictions": …, "labels": …}}`; None for a task without labels in this batch.
            shared: parameters that several tasks move, for `"gradnorm"` (the last shared layer is enough) and
                `"pcgrad"` (all of them).

        Returns:
            Scalar.

        Raises:
            ConfigError: the names are not those of the tasks, no task has anything to learn from, or
                gradients are to be balanced and no shared parameter is named.
        """
        return self.combine(self.losses(inputs), shared=shared)

    def losses(self, inputs: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Tensor | None]:
        """Each task's own loss, before any weight.

        Args:
            inputs: the arguments of each task by its name, or None.

        Returns:
            Scalars by name; None where the inputs are.

        Raises:
            ConfigError: the names are not those of the tasks.
        """
        self._check_names(inputs)
        return {
            name: None if (own := inputs[name]) is None else task(**own) for name, task in self.tasks.items()
        }

    def combine(self, losses: Mapping[str, Tensor | None], *, shared: Sequence[Tensor] = ()) -> Tensor:
        """Weigh losses and add them up.

        Args:
            losses: scalars by task; None for a task that has nothing to learn from, which is left out.
            shared: parameters that several tasks move.

        Returns:
            Scalar.

        Raises:
            ConfigError: the names are not those of the tasks, all are None, or gradients are to be balanced
                and no shared parameter is named.
        """
        self._check_names(losses)
        present = {name: loss for name in self.given if (loss := losses[name]) is not None}
        if not present:
            raise ConfigError(
                "no task has anything to learn from", remedy="leave out batches without a label"
            )
        if self.balance is None or not (self.training and torch.is_grad_enabled()):
            return torch.stack([self.given[name] * loss for name, loss in present.items()]).sum()
        total: Tensor = self.balance(present, [each for each in shared if each.requires_grad])
        return total

    def _check_names(self, given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in self.given:
                raise ConfigError(f"there is no task {name!r}", remedy=did_you_mean(name, self.given))
        missing = [name for name in self.given if name not in given]
        if missing:
            raise ConfigError(
                f"nothing was passed for task {missing[0]!r}",
                remedy="pass every task's part of the batch, or None where it has no labels",
            )


def _balance(
    name: Balance | None, given: Mapping[str, float], alpha: float
) -> Uncertainty | GradNorm | PCGrad | None:
    match name:
        case "uncertainty":
            return Uncertainty(list(given))
        case "gradnorm":
            return GradNorm(list(given), alpha=alpha)
        case "pcgrad":
            return PCGrad(list(given), list(given.values()))
        case None:
            return None
