"""What all streaming metrics share: their shape, and weighted means that can be merged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from shortlist.errors import ConfigError, DataError, ShapeError


@runtime_checkable
class Metric(Protocol):
    """Anything that sees the data batch by batch and answers at the end.

    `update(predictions, labels, *, sample_weight=None)` adds a batch (a metric may name its inputs
    differently), `compute()` answers, `reset()` starts anew and `merge(other)` adds what another process
    has seen.
    """

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch."""

    def compute(self) -> dict[str, float]:
        """The figures of all batches since the last reset, by name; NaN where nothing was seen."""

    def reset(self) -> None:
        """Forget all batches."""

    def merge(self, other: Self) -> None:
        """Add what another metric of the same kind has seen."""


class StreamingMeans:
    """Base of the metrics that are weighted means: sums in double precision, so batches can be merged.

    Args:
        names: of the figures.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.reset()

    def compute(self) -> dict[str, float]:
        """The figures over everything since the last reset.

        Returns:
            The weighted mean of each figure by its name; NaN when nothing was seen.
        """
        if self._weight == 0:
            return dict.fromkeys(self.names, math.nan)
        return dict(zip(self.names, (self._sums / self._weight).tolist(), strict=True))

    def reset(self) -> None:
        """Forget all batches."""
        self._sums = torch.zeros(len(self.names), dtype=torch.float64)
        self._weight = 0.0

    def merge(self, other: Self) -> None:
        """Add what another metric of the same settings has seen, such as another process's.

        Args:
            other: stays as it is.

        Raises:
            ConfigError: its figures differ from this one's.
        """
        if self.names != other.names:
            raise ConfigError(
                f"figures {', '.join(other.names)} cannot be merged into {', '.join(self.names)}",
                remedy="merge metrics that were built with the same settings",
            )
        self._sums += other._sums
        self._weight += other._weight

    def _add(self, values: Tensor, weight: Tensor) -> None:
        # values [figures, rows], weight [rows]. A row of weight 0 counts for nothing, even if infinite.
        counted = weight > 0
        self._sums += (values[:, counted].double() @ weight[counted]).cpu()
        self._weight += float(weight.sum())


def check_cutoffs(ks: Iterable[int]) -> tuple[int, ...]:
    """Refuse cut-offs that mean nothing.

    Args:
        ks: list lengths.

    Returns:
        The cut-offs, ascending, each once.

    Raises:
        ConfigError: there are none, or one is not a positive integer.
    """
    given = list(ks) if isinstance(ks, Iterable) else []
    if not given or any(not isinstance(k, int) or k < 1 for k in given):
        raise ConfigError(f"ks is {ks!r}", remedy="pass positive integers such as ks=(10, 100)")
    return tuple(sorted(set(given)))


def row_weights(sample_weight: Tensor | None, rows: int, device: torch.device) -> Tensor:
    """The weight of each row, checked.

    Args:
        sample_weight: `[rows]` non-negative and finite, or None for 1 each.
        rows: how many rows there are.
        device: where to put the weights.

    Returns:
        `[rows]` float64.

    Raises:
        DataError: a weight is negative or not a number.
        ShapeError: there is not one weight a row.
    """
    if sample_weight is None:
        return torch.ones(rows, dtype=torch.float64, device=device)
    if sample_weight.shape != (rows,):
        raise ShapeError(
            f"sample_weight is {tuple(sample_weight.shape)} for {rows} rows",
            remedy="pass one weight a row, [rows]",
        )
    weight = sample_weight.detach().to(device=device, dtype=torch.float64)
    if not bool((weight.isfinite() & (weight >= 0)).all()):
        raise DataError(
            "sample_weight holds a negative or non-finite weight", remedy="pass weights of 0 or more"
        )
    return weight


def spread_weights(sample_weight: Tensor | None, values: Tensor) -> Tensor:
    """The weight of each value, checked.

    Args:
        sample_weight: `[rows]`, or the values' shape; None for 1 each.
        values: `[rows, ...]`, whose weights are wanted.

    Returns:
        `[number of values]` float64, in the order of the flattened values.

    Raises:
        DataError: a weight is negative or not a number.
        ShapeError: there is neither one weight a row nor one a value.
    """
    count = values.numel()
    if sample_weight is None or sample_weight.shape == values.shape:
        flat = None if sample_weight is None else sample_weight.reshape(-1)
        return row_weights(flat, count, values.device)
    rows = len(values) if values.ndim else 0
    weight = row_weights(sample_weight, rows, values.device)
    return weight.repeat_interleave(count // rows if rows else 0)


def flat_numbers(values: Tensor, name: str) -> Tensor:
    """Values in double precision, refused when one is not a number.

    Args:
        values: any shape and dtype.
        name: what to call them in the error.

    Returns:
        A flat float64 vector, detached.

    Raises:
        DataError: one is NaN.
    """
    flat = values.detach().reshape(-1).double()
    if bool(flat.isnan().any()):
        raise DataError(
            f"{int(flat.isnan().sum())} of {len(flat)} {name} are not a number",
            remedy="find where they became NaN; a metric over them would mean nothing",
        )
    return flat
