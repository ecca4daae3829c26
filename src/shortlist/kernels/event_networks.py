"""A deep and cross network on single events, forth and back, by the native kernels: float32 on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.kernels.checks import check_threads

EventLoss = Literal["rating", "click"]
_NUMBERS: dict[EventLoss, int] = {"rating": 0, "click": 1}


@dataclass(frozen=True, eq=False)
class Distinct:
    """The different ids among some.

    Args:
        rows: `[m]` int64 where each comes first, in ascending order.
        index: `[n]` int64, which of them each of the ids is.
    """

    rows: Tensor
    index: Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Neighbouring columns of the rows that a network reads.

    Args:
        rows: `[count, width]` float32.
        index: `[n]` int64, which of the rows each example takes; None where each has one of its own.
    """

    rows: Tensor
    index: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Layers:
    """Crosses `x0 * (x @ weight.T + bias) + x`, hidden layers `relu(x @ weight.T + bias)`, and an output.

    Args:
        weights: `[outputs, inputs]` float32 each; the last has one output.
        biases: `[outputs]` float32 each, or None for zeros.
        crosses: how many of them are crosses, at least one.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor | None]
    crosses: int


@dataclass(frozen=True, eq=False)
class Events:
    """What the outputs are compared with.

    Args:
        labels: `[n]` float32.
        weights: `[n]` float32, of the losses.
        loss: `"rating"` for the squared error, `"click"` for the cross-entropy of a logit.
        start: added to every output.
        dropout: share of the hidden units that is hidden; those that are left grow by as much.
        seed: from 0, below 2**63, of what is hidden.
    """

    labels: Tensor
    weights: Tensor
    loss: EventLoss
    start: float = 0.0
    dropout: float = 0.0
    seed: int = 0


class EventGradients(NamedTuple):
    """Of a weighted sum of losses, each in the shape of what it is of.

    Args:
        rows: of the parts.
        weights: of the layers.
        biases: of the layers; None where there is none.
    """

    rows: list[Tensor]
    weights: list[Tensor]
    biases: list[Tensor | None]


def loss_and_gradients(
    parts: Sequence[Part],
    layers: Layers,
    events: Events,
    *,
    products: str = "",
    threads: int | None = None,
) -> tuple[Tensor, EventGradients]:
    """The weighted sum of the losses of some events, and its gradients in the same pass.

    What the rows of a part that repeat give to the first cross is computed once for each.

    Args:
        parts: as wide together as the first layer's inputs.
        layers: of the network.
        events: labels and losses.
        products: "avx512fp16" for products with layers of 16 bits, where there are such; "" for float32.
        threads: to work with; PyTorch's number by default. The same number gives the same bits.

    Returns:
        A scalar float32, and the gradients.
    """
    gradients = EventGradients(
        [torch.empty(part.rows.shape) for part in parts],
        [torch.empty(weight.shape) for weight in layers.weights],
        [None if bias is None else torch.empty(bias.shape) for bias in layers.biases],
    )
    loss = _native.event_loss_and_gradients(
        _arrays([part.rows for part in parts]),
        _arrays([part.index for part in parts]),
        _arrays(gradients.rows),
        _arrays(layers.weights),
        _arrays(layers.biases),
        _arrays(gradients.weights),
        _arrays(gradients.biases),
        layers.crosses,
        events.start,
        events.dropout,
        events.seed,
        _NUMBERS[events.loss],
        _array(events.labels),
        _array(events.weights),
        products,
        check_threads(threads),
    )
    return torch.tensor(loss, dtype=torch.float32), gradients


def find_distinct(ids: Tensor) -> Distinct:
    """Find the different ids among some.

    Args:
        ids: `[n]` int64 on the CPU.
    """
    rows, index = torch.empty(len(ids), dtype=torch.int64), torch.empty(len(ids), dtype=torch.int64)
    count = _native.find_distinct(_array(ids), rows.numpy(), index.numpy())
    return Distinct(rows[:count], index)


def _array(values: Tensor) -> NDArray[np.generic]:
    return values.detach().contiguous().numpy()


def _arrays(values: Sequence[Tensor | None]) -> list[NDArray[np.generic] | None]:
    return [None if each is None else _array(each) for each in values]
