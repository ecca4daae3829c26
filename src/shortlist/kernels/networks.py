"""Small networks over the candidates of some requests, by the native kernels: float32 on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.errors import ShapeError
from shortlist.kernels.checks import check_threads

ROOM = 16  # widths in memory are whole multiples of it

Kind = Literal["cross", "hidden", "output"]
_NUMBERS: dict[Kind, int] = {"cross": 0, "hidden": 1, "output": 2}


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, from the rows before it or, for the first, from the input.

    Args:
        kind: `"cross"` for `input * (rows @ weight.T + bias) + rows`, `"hidden"` for the positive part of
            `rows @ weight.T + bias`, `"output"` for that sum itself, of one number.
        weight: `[outputs, inputs]` float32.
        bias: `[outputs]` float32, or None for zeros.
    """

    kind: Kind
    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in the form that the kernels read.

    Args:
        kinds: `[steps]` int64.
        widths: `[steps + 1]` int64 width of the input, then of each step's output.
        weights: flat float32.
    """

    kinds: Tensor
    widths: Tensor
    weights: Tensor

    @classmethod
    def of(cls, width: int, steps: Sequence[Step]) -> Network:
        """Pack some layers.

        Args:
            width: of the input.
            steps: crosses and hidden layers, then one output; a cross is as wide as the input.

        Raises:
            ShapeError: they do not fit together.
        """
        widths = [width]
        for number, step in enumerate(steps):
            outputs, inputs = step.weight.shape
            last = number == len(steps) - 1
            fits = inputs == widths[-1] and (step.kind == "output") == last
            if not fits or (step.kind == "cross" and outputs != width) or (last and outputs != 1):
                raise ShapeError(
                    f"step {number} is {step.kind!r}, from {inputs} to {outputs}, after {widths[-1]}",
                    remedy="crosses are as wide as the input, and an output of one number comes last",
                )
            widths.append(outputs)
        kinds = [_NUMBERS[step.kind] for step in steps]
        packed = [_packed(step) for step in steps]
        return cls(torch.tensor(kinds), torch.tensor(widths), torch.cat(packed))


def network_scores(
    network: Network,
    offsets: Tensor,
    *,
    query: Tensor,
    table: Tensor,
    items: Tensor,
    own: Tensor,
    threads: int | None = None,
) -> Tensor:
    """The output of a network for rows that are put together from three parts, in this order.

    Args:
        network: as wide as the parts together.
        offsets: `[requests + 1]` int64, from 0 to the number of rows.
        query: `[requests, ...]` float32 what all rows of a request begin with.
        table: `[num_items, ...]` float32.
        items: `[rows]` int64, the row of the table that follows.
        own: `[rows, ...]` float32 what is each row's own.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[rows]` float32.
    """
    scores = torch.empty(len(items))
    _native.network_scores(
        network.kinds.numpy(),
        network.widths.numpy(),
        network.weights.numpy(),
        _array(offsets),
        _array(query),
        _array(table),
        _array(items),
        _array(own),
        check_threads(threads),
        scores.numpy(),
    )
    return scores


def _packed(step: Step) -> Tensor:
    """A layer's weights, `[inputs, outputs]`, and its bias behind them; an output's are one row."""
    weight = step.weight.detach().float()
    bias = weight.new_zeros(len(weight)) if step.bias is None else step.bias.detach().float()
    if step.kind == "output":
        return torch.cat([_with_room(weight).flatten(), bias])
    return _with_room(torch.cat([weight.T, bias[None]])).flatten()


def _array(values: Tensor) -> NDArray[np.generic]:
    return values.detach().contiguous().numpy()


def _with_room(rows: Tensor) -> Tensor:
    return torch.nn.functional.pad(rows, (0, -rows.shape[1] % ROOM))
