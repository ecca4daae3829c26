"""What optimizers share that step one parameter after the other, dense or by the rows that were touched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from shortlist.errors import ConfigError
from shortlist.kernels.tables import Rule, takes_rows, update_rows, with_large_pages

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class WeightwiseOptimizer(Optimizer, ABC):
    """An optimizer whose step of a parameter depends on that parameter alone."""

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step.

        Args:
            closure: recomputes the loss and its gradients first; usually None.

        Returns:
            The closure's loss, or None.
        """
        loss = reevaluate(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._update(weight, group)
        return loss

    @abstractmethod
    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        """Step a parameter that has a gradient."""


def check_range(name: str, value: float, *, above: float | None = None) -> None:
    """Refuse a number that is not finite, is negative, or is not above a bound, with a ConfigError."""
    fits = value > above if above is not None else value >= 0
    if not (fits and value < float("inf")):
        raise ConfigError(
            f"{name} is {value}",
            remedy=f"pass a {'positive' if above is not None else 'non-negative'} number",
        )


def reevaluate(closure: Callable[[], float] | None) -> float | None:
    """Compute the loss and its gradients anew, for optimizers that are given a closure.

    Args:
        closure: answers the loss; or None.

    Returns:
        The loss, or None.
    """
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def stepped_rows(weight: Tensor, state: tuple[Tensor, ...], rule: Rule) -> bool:
    """Step the rows of a table that its sparse gradient names, by the native kernels where they can.

    Args:
        weight: a parameter with a gradient.
        state: of the rule.
        rule: how the rows follow.

    Returns:
        Whether that was done.
    """
    gradient = weight.grad
    assert gradient is not None
    if not takes_rows(weight, gradient) or not all(each.is_contiguous() for each in state):
        return False
    # Not coalesced: the kernel adds up repeated rows on the way.
    update_rows(weight, state, gradient._indices()[0], gradient._values(), rule)
    return True


def filled(weight: Tensor, shape: torch.Size | tuple[int, ...], value: float) -> Tensor:
    """State beside a parameter, on large pages where there are any.

    Args:
        weight: the parameter, whose device and dtype count.
        shape: of the state.
        value: of all its numbers.
    """
    return with_large_pages(weight.new_empty(shape)).fill_(value)


def rows_and_gradient(weight: Tensor) -> tuple[Tensor | None, Tensor]:
    """The touched rows (None for all) of a parameter, and their gradients, repeated rows summed."""
    gradient = weight.grad
    assert gradient is not None
    if not gradient.is_sparse:
        return None, gradient
    summed = gradient.coalesce()
    return summed.indices()[0], summed.values()
