"""Optimizers for tables of embeddings by the million: a step touches the rows of its batch and no others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from shortlist.errors import ConfigError
from shortlist.kernels.tables import Rule
from shortlist.training.weightwise import (
    Parameters,
    WeightwiseOptimizer,
    check_range,
    filled,
    next_rounding,
    read_rows,
    rows_and_gradient,
    stepped_rows,
    write_rows,
)


class RowwiseAdagrad(WeightwiseOptimizer):
    """Adagrad with one accumulator a row, of the mean square of its gradients.

    The state of a table is then one number a row instead of a second table. A parameter with fewer than two
    axes has an accumulator for each number, as in `Adagrad`.

    Args:
        params: parameters, or groups of them.
        lr: learning rate; positive. Embeddings like 0.05 to 0.5.
        initial_accumulator_value: where the sums start; not negative.
        eps: added under the root; positive.

    Raises:
        ConfigError: an argument is out of range.

    Source: Mudigere et al., Software-hardware co-design for fast and scalable training of deep learning
    recommendation models (ISCA 2022).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.1,
        *,
        initial_accumulator_value: float = 0.1,
        eps: float = 1e-7,
    ) -> None:
        check_range("lr", lr, above=0)
        check_range("initial_accumulator_value", initial_accumulator_value)
        check_range("eps", eps, above=0)
        defaults = {"lr": lr, "initial_accumulator_value": initial_accumulator_value, "eps": eps}
        super().__init__(params, defaults)

    def _row_rule(self, weight: Tensor, group: dict[str, Any]) -> tuple[Rule, float]:
        return Rule("rowwise_adagrad", group["lr"], group["eps"]), group["initial_accumulator_value"]

    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "accumulator" not in state:
            shape = weight.shape if weight.ndim < 2 else (len(weight), *[1] * (weight.ndim - 1))
            wide = torch.promote_types(weight.dtype, torch.float32)
            state["accumulator"] = filled(weight, shape, group["initial_accumulator_value"], wide)
        accumulator, rounding = state["accumulator"], next_rounding(weight, state)
        rule, _ = self._row_rule(weight, group)
        if stepped_rows(weight, (accumulator,), rule, rounding):
            return
        rows, gradient = rows_and_gradient(weight)
        square = gradient.square()
        if weight.ndim >= 2:
            square = square.flatten(1).mean(1).reshape(-1, *[1] * (weight.ndim - 1))
        if rows is None:
            accumulator.add_(square)
            weight.sub_(group["lr"] * gradient / (accumulator + group["eps"]).sqrt())
            return
        sums = accumulator[rows] + square
        accumulator[rows] = sums
        change = group["lr"] * gradient / (sums + group["eps"]).sqrt()
        write_rows(weight, rows, read_rows(weight, rows, rounding) - change, rounding)


class LazyAdam(WeightwiseOptimizer):
    """Adam whose moments move only in the rows that a sparse gradient names.

    Where gradients are dense it is Adam. A row that is seldom touched keeps its moments in between, so that
    its steps are larger than Adam's would be.

    Args:
        params: parameters, or groups of them.
        lr: learning rate; positive.
        betas: rates of decay of the two moments, from 0, below 1.
        eps: added to the root; positive.

    Raises:
        ConfigError: an argument is out of range.

    Source: Kingma & Ba (ICLR 2015); lazily as in TensorFlow Addons and `torch.optim.SparseAdam`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        check_range("lr", lr, above=0)
        check_range("eps", eps, above=0)
        if not all(0 <= beta < 1 for beta in betas):
            raise ConfigError(f"betas are {betas}", remedy="pass two numbers from 0, below 1")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def _row_rule(self, weight: Tensor, group: dict[str, Any]) -> tuple[Rule, float]:
        state = self.state[weight]
        if "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.int64)
        state["step"] += 1
        return Rule("adam", group["lr"], group["eps"], group["betas"], int(state["step"])), 0.0

    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["mean"], state["square"] = (filled(weight, weight.shape, 0.0) for _ in range(2))
        rule, _ = self._row_rule(weight, group)
        mean, square, step = state["mean"], state["square"], rule.step
        rounding = next_rounding(weight, state)
        if stepped_rows(weight, (mean, square), rule, rounding):
            return
        rows, gradient = rows_and_gradient(weight)
        means, squares = (
            (mean, square)
            if rows is None
            else (read_rows(mean, rows, rounding), read_rows(square, rows, rounding))
        )
        beta1, beta2 = group["betas"]
        means.lerp_(gradient, 1 - beta1)
        squares.lerp_(gradient.square(), 1 - beta2)
        root = (squares / (1 - beta2**step)).sqrt_().add_(group["eps"])
        change = means / root * (group["lr"] / (1 - beta1**step))
        if rows is None:
            weight.sub_(change)
            return
        write_rows(mean, rows, means, rounding, array=1)
        write_rows(square, rows, squares, rounding, array=2)
        write_rows(weight, rows, read_rows(weight, rows, rounding) - change, rounding)
