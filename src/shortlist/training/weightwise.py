"""What optimizers share that step one parameter after the other, dense or by the rows that were touched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from shortlist.errors import ConfigError
from shortlist.kernels.bag_gradient import BagGradient
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.rounding import Rounding, rounded
from shortlist.kernels.table_parameters import table_of
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
                    if weight.grad is None:
                        continue
                    if (table := table_of(weight)) is None:
                        self._update(weight, group)
                    else:
                        self._step_table(table, weight, group)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Args:
            state_dict: groups and state.
        """
        super().load_state_dict(state_dict)
        restore_dtypes(self, state_dict)

    @abstractmethod
    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        """Step a parameter that has a gradient."""

    def _row_rule(self, weight: Tensor, group: dict[str, Any]) -> tuple[Rule, float]:
        """The rule of a dynamic table's next step, and what accumulators of its rows start at."""
        raise ConfigError(
            f"{type(self).__name__} cannot step the rows of a DynamicEmbedding",
            remedy="use Adagrad, RowwiseAdagrad or LazyAdam, beside others with a CompositeOptimizer",
        )

    def _step_table(self, table: RowTable, weight: Tensor, group: dict[str, Any]) -> None:
        gradient = weight.grad
        assert gradient is not None
        rule, initial = self._row_rule(weight, group)
        table.step(gradient._indices()[0], gradient._values(), rule, initial=initial)


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


def restore_dtypes(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Undo PyTorch's cast of the state to its parameter's dtype, which must not meet a table in bfloat16.

    Args:
        optimizer: that has just loaded the state.
        state_dict: what it loaded.
    """
    numbers = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
    parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    for number, parameter in zip(numbers, parameters, strict=True):
        for name, saved in state_dict["state"].get(number, {}).items():
            if isinstance(saved, Tensor) and saved.dtype != optimizer.state[parameter][name].dtype:
                device = parameter.device if saved.is_floating_point() else saved.device
                optimizer.state[parameter][name] = saved.to(device, copy=True)


def stepped_rows(
    weight: Tensor, state: tuple[Tensor, ...], rule: Rule, rounding: Rounding | None = None
) -> bool:
    """Step the rows of a table that its sparse gradient names, by the native kernels where they can.

    Args:
        weight: a parameter with a gradient.
        state: of the rule.
        rule: how the rows follow.
        rounding: of this step, from `next_rounding`.

    Returns:
        Whether that was done.
    """
    gradient = weight.grad
    assert gradient is not None
    bags = None
    if isinstance(gradient, BagGradient) and not gradient.is_written:
        ids, values, bags = gradient.ids, gradient.gradients, gradient.bags
    else:
        gradient = _written(gradient)
        if not gradient.is_sparse or gradient.sparse_dim() != 1:
            return False
        ids, values = gradient._indices()[0], gradient._values()
        if values.ndim == 1:  # of a vector, which is a table of one column
            weight, values = weight[:, None], values[:, None]
            state = tuple(each[:, None] for each in state)
    if not takes_rows(weight, ids, values) or not all(each.is_contiguous() for each in state):
        return False
    # Not coalesced: the kernel adds up repeated rows on the way.
    update_rows(weight, state, ids, values, rule, bags=bags, rounding=rounding)
    return True


def filled(
    weight: Tensor, shape: torch.Size | tuple[int, ...], value: float, dtype: torch.dtype | None = None
) -> Tensor:
    """State beside a parameter, on large pages where there are any.

    Args:
        weight: the parameter, whose device and dtype count.
        shape: of the state.
        value: of all its numbers.
        dtype: where it is another than the parameter's.
    """
    return with_large_pages(weight.new_empty(shape, dtype=dtype)).fill_(value)


def rows_and_gradient(weight: Tensor) -> tuple[Tensor | None, Tensor]:
    """The touched rows (None for all) of a parameter, and their gradients, repeated rows summed."""
    gradient = weight.grad
    assert gradient is not None
    if not gradient.is_sparse:
        return None, gradient
    summed = _written(gradient).coalesce()
    return summed.indices()[0], summed.values()


def next_rounding(weight: Tensor, state: dict[str, Any]) -> Rounding | None:
    """The random numbers of this step for a table in bfloat16 with float32 gradients; None for others.

    Args:
        weight: the parameter.
        state: of the parameter, which keeps the seed, drawn at the first step, and counts the steps.
    """
    if weight.dtype != torch.bfloat16 or weight.grad is None or weight.grad.dtype != torch.float32:
        return None
    if "rounding" not in state:
        state["rounding"] = torch.tensor([int(torch.randint((1 << 63) - 1, ())), 0])
    state["rounding"][1] += 1
    seed, step = state["rounding"].tolist()
    return Rounding(seed, step)


def read_rows(values: Tensor, rows: Tensor, rounding: Rounding | None) -> Tensor:
    """Copies of some rows, to compute with: float32 where they will be rounded.

    Args:
        values: weights or state, `[rows, ...]`.
        rows: `[n]` int64.
        rounding: of this step.
    """
    return values[rows] if rounding is None else values[rows].float()


def write_rows(
    values: Tensor, rows: Tensor, changed: Tensor, rounding: Rounding | None, *, array: int = 0
) -> None:
    """Put rows back, rounded at random where there is a rounding.

    Args:
        values: weights or state, `[rows, ...]`.
        rows: `[n]` int64, each once.
        changed: `[n, ...]`.
        rounding: of this step.
        array: 0 for weights, 1 or 2 for the state.
    """
    if rounding is not None and values.dtype == torch.bfloat16:
        changed = rounded(changed, rows, rounding, array=array)
    values[rows] = changed.to(values.dtype)


def _written(gradient: Tensor) -> Tensor:
    return gradient.written() if isinstance(gradient, BagGradient) else gradient
