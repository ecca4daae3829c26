"""The optimizers of embedding models: Adagrad as Keras has it, and with adaptive clipping.

A sparse gradient touches only its rows; rows that come more than once are summed first, so a batch that
holds an item twice takes one step for it and not two.
"""

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


class Adagrad(WeightwiseOptimizer):
    """Adagrad: each weight's step shrinks with the root of its summed squared gradients.

    `accumulator += gradient²; weight -= lr * gradient / sqrt(accumulator + eps)`.

    Args:
        params: parameters, or groups of them.
        lr: learning rate; positive. Embeddings like 0.05 to 0.5.
        initial_accumulator_value: where the sums start; not negative.
        eps: added under the root; positive.

    Raises:
        ConfigError: an argument is out of range.

    Source: Duchi et al., Adaptive subgradient methods (JMLR 2011); the placing of `eps` is Keras's.
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
        return Rule("adagrad", group["lr"], group["eps"]), group["initial_accumulator_value"]

    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        accumulator = _accumulator(self.state[weight], weight, group)
        rounding = next_rounding(weight, self.state[weight])
        if stepped_rows(weight, (accumulator,), self._row_rule(weight, group)[0], rounding):
            return
        rows, gradient = rows_and_gradient(weight)
        if rows is None:
            accumulator.addcmul_(gradient, gradient)
            weight.addcdiv_(gradient, (accumulator + group["eps"]).sqrt_(), value=-group["lr"])
            return
        sums = read_rows(accumulator, rows, rounding).addcmul_(gradient, gradient)
        values = read_rows(weight, rows, rounding)
        values.addcdiv_(gradient, (sums + group["eps"]).sqrt_(), value=-group["lr"])
        write_rows(accumulator, rows, sums, rounding, array=1)
        write_rows(weight, rows, values, rounding)


class ClippyAdagrad(WeightwiseOptimizer):
    """Adagrad whose step on a tensor is scaled down until no weight moves too far.

    A step may move a weight by at most `variable_relative_threshold * |weight| +
    accumulator_relative_threshold / sqrt(accumulator + eps) + absolute_threshold`; one factor in [0, 1] for
    the whole tensor (for a sparse gradient, for its rows) sees to that. It lets the learning rate be much
    higher than Adagrad's without divergence. The factor of a tensor's last step is kept in its state as
    `clipping_factor`, to be watched.

    Args:
        params: parameters, or groups of them.
        lr: learning rate; positive. The paper's is 1.
        initial_accumulator_value: where the sums start; not negative.
        variable_relative_threshold: not negative.
        accumulator_relative_threshold: not negative.
        absolute_threshold: not negative.
        eps: added under the root; positive.
        clip_accumulator_update: whether the sums grow by the scaled gradient, as if it had been clipped
            before; not with `use_standard_accumulator_update`.
        use_standard_accumulator_update: whether the sums grow before the step, as in Adagrad, rather than
            after it.

    Raises:
        ConfigError: an argument is out of range, or both ways of growing the sums are asked for.

    Source: Tang et al., Improving training stability for multitask ranking models (KDD 2023).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.1,
        *,
        initial_accumulator_value: float = 0.1,
        variable_relative_threshold: float = 0.1,
        accumulator_relative_threshold: float = 0.0,
        absolute_threshold: float = 1e-7,
        eps: float = 1e-7,
        clip_accumulator_update: bool = False,
        use_standard_accumulator_update: bool = False,
    ) -> None:
        check_range("lr", lr, above=0)
        check_range("eps", eps, above=0)
        defaults = {
            "initial_accumulator_value": initial_accumulator_value,
            "variable_relative_threshold": variable_relative_threshold,
            "accumulator_relative_threshold": accumulator_relative_threshold,
            "absolute_threshold": absolute_threshold,
        }
        for name, value in defaults.items():
            check_range(name, value)
        if clip_accumulator_update and use_standard_accumulator_update:
            raise ConfigError(
                "clip_accumulator_update and use_standard_accumulator_update are both on",
                remedy="the clipped gradient is not known before the step: choose one",
            )
        flags = {
            "clip_accumulator_update": clip_accumulator_update,
            "use_standard_accumulator_update": use_standard_accumulator_update,
        }
        super().__init__(params, {"lr": lr, "eps": eps, **defaults, **flags})

    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        accumulator = _accumulator(state, weight, group)
        rounding = next_rounding(weight, state)
        rows, gradient = rows_and_gradient(weight)
        values = weight if rows is None else read_rows(weight, rows, rounding)
        sums = accumulator if rows is None else read_rows(accumulator, rows, rounding)
        before = group["use_standard_accumulator_update"]
        if before:
            sums = sums + gradient.square()
        precondition = (sums + group["eps"]).rsqrt()
        change = group["lr"] * gradient * precondition
        limit = (
            group["variable_relative_threshold"] * values.abs()
            + group["accumulator_relative_threshold"] * precondition
            + group["absolute_threshold"]
        )
        factor = _largest_factor(change, limit)
        if not before:
            grown = gradient * factor if group["clip_accumulator_update"] else gradient
            sums = sums + grown.square()
        state["clipping_factor"] = factor
        if rows is None:
            accumulator.copy_(sums)
            weight.sub_(change * factor)
        else:
            write_rows(accumulator, rows, sums, rounding, array=1)
            write_rows(weight, rows, values - change * factor, rounding)


def _accumulator(state: dict[str, Any], weight: Tensor, group: dict[str, Any]) -> Tensor:
    if "accumulator" not in state:
        state["accumulator"] = filled(weight, weight.shape, group["initial_accumulator_value"])
    accumulator: Tensor = state["accumulator"]
    return accumulator


def _largest_factor(change: Tensor, limit: Tensor) -> Tensor:
    # The largest factor in [0, 1] with |change| * factor <= limit everywhere; where nothing changes, any.
    if change.numel() == 0:
        return change.new_ones(())
    size = change.abs()
    ratios = torch.where(size > 0, limit / size, torch.ones_like(size))
    return ratios.min().clamp(max=1.0)
