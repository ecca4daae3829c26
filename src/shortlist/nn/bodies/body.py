"""What a body of a ranker is: the description of a network that turns fields into a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.nn.mlp import MLP


@dataclass(frozen=True)
class FieldLayout:
    """The fields that a network reads: each feature of a request and of a candidate, embedded.

    Args:
        query: widths of the request's fields.
        candidate: widths of the candidate's, the retrieval scores among them.
        dim: the width of all of them, where the body asks for one.
    """

    query: tuple[int, ...]
    candidate: tuple[int, ...]
    dim: int

    @property
    def count(self) -> int:
        """The number of fields."""
        return len(self.query) + len(self.candidate)

    @property
    def total(self) -> int:
        """The width of all fields side by side."""
        return sum(self.query) + sum(self.candidate)


@dataclass(frozen=True)
class Body(ABC):
    """Base of all bodies: the numbers that describe a network, which is built when the features are known.

    A body is a value: it can be compared, saved and written in `shortlist.toml`. The network that `build`
    makes is a `torch.nn.Module` from a list of fields, `[n, width]` each, to `[n]` scores.
    """

    one_width: ClassVar[bool] = False
    """Whether every field must have the same width, since fields are multiplied or added. Numbers then get
    an embedding too: their value times a vector, plus another."""

    has_fields: ClassVar[bool] = True
    """Whether the network reads embeddings at all."""

    first_order: ClassVar[bool] = False
    """Whether a weight for every value of every feature is added to the score."""

    needs_target_history: ClassVar[bool] = False
    """Whether one of the features must be a history in the light of the candidate."""

    @abstractmethod
    def build(self, layout: FieldLayout) -> nn.Module:
        """Make the network.

        Args:
            layout: what it will read.

        Returns:
            A module from a list of `[n, width]` fields, in the layout's order, to `[n]`.

        Raises:
            ConfigError: the body does not suit the fields.
        """

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"kind": type(self).__name__, **asdict(self)}


def stack(fields: Sequence[Tensor]) -> Tensor:
    """Fields of one width as a block, `[n, num_fields, dim]`."""
    return torch.stack(list(fields), dim=1)


def side_by_side(fields: Sequence[Tensor]) -> Tensor:
    """All fields in one row, `[n, total]`."""
    return torch.cat(list(fields), dim=1)


def perceptron(width: int, hidden: Sequence[int], *, dropout: float, batch_norm: bool) -> MLP:
    """The deep part that most bodies share: hidden layers and one score.

    Args:
        width: of the input.
        hidden: widths of the hidden layers.
        dropout: share of the hidden units that training hides.
        batch_norm: whether hidden layers are normalised over the batch.
    """
    return MLP(width, (*hidden, 1), dropout=dropout, batch_norm=batch_norm)


def as_widths(body: Body, name: str, *, at_least: int = 0) -> None:
    """Turn a body's sequence of widths into a tuple of positive numbers.

    Args:
        body: under construction.
        name: of the argument.
        at_least: how many there must be.

    Raises:
        ConfigError: a width is not positive, or there are too few.
    """
    widths = tuple(getattr(body, name))
    if len(widths) < at_least or any(width < 1 for width in widths):
        raise ConfigError(
            f"{name} is {list(widths)}",
            where=type(body).__name__,
            remedy=f"give positive widths{', at least one' if at_least else ''}, such as [64, 32]",
        )
    object.__setattr__(body, name, widths)


def check_at_least(body: Body, least: int, *names: str) -> None:
    """Refuse numbers that are too small.

    Args:
        body: whose arguments they are.
        least: the smallest that is allowed.
        *names: of the arguments; None passes.

    Raises:
        ConfigError: one is smaller.
    """
    for name in names:
        value = getattr(body, name)
        if value is not None and value < least:
            raise ConfigError(
                f"{name} is {value}", where=type(body).__name__, remedy=f"give at least {least}"
            )


def check_dropout(body: Body) -> None:
    """Refuse a `dropout` outside [0, 1).

    Args:
        body: whose it is.

    Raises:
        ConfigError: it is no share.
    """
    dropout: float = body.dropout  # type: ignore[attr-defined]  # every body that is checked has one
    if not 0 <= dropout < 1:
        raise ConfigError(
            f"dropout is {dropout}", where=type(body).__name__, remedy="give a share in [0, 1), such as 0.1"
        )
