"""Losses and gradients that are not numbers: noticed cheaply, explained well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from shortlist.data.feature_space import Batch
from shortlist.data.ragged import Ragged
from shortlist.errors import TrainingError
from shortlist.training.callbacks import TrainingState

_EXTREME = 1e4  # a standardised number is a few units large; beyond this, float32 products overflow soon


class NotFiniteError(Exception):
    """A watched value that is NaN or infinite; the loop turns it into a TrainingError.

    Args:
        name: what is watched, such as "loss".
        value: NaN or an infinity.
        batch: number of the batch within its epoch, from 0.
    """

    def __init__(self, name: str, value: float, batch: int) -> None:
        super().__init__(name, value, batch)
        self.name = name
        self.value = value
        self.batch = batch


class FiniteWatch:
    """Sums scalars and notices the first that is not finite.

    Reading a value from a GPU waits for all its work, so there the values are read `every` so many
    steps; on a CPU each is read at once, before it can do harm.

    Args:
        name: of the values, for the error.
        every: values to collect before reading them.
    """

    def __init__(self, name: str, *, every: int) -> None:
        self.total = 0.0
        self._name = name
        self._every = every
        self._pending: list[tuple[int, Tensor]] = []

    def add(self, batch: int, value: Tensor) -> None:
        """Take one value.

        Args:
            batch: number of its batch, for the error.
            value: detached scalar.

        Raises:
            NotFiniteError: this value or one before it that was not read yet isn't finite.
        """
        self._pending.append((batch, value))
        if len(self._pending) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Read the values that were not read yet.

        Raises:
            NotFiniteError: one of them isn't finite.
        """
        pending, self._pending = self._pending, []
        if len(pending) == 1:
            values = [pending[0][1].item()]
        else:
            values = torch.stack([value.float() for _, value in pending]).tolist() if pending else []
        for (batch, _), value in zip(pending, values, strict=True):
            if not math.isfinite(value):
                raise NotFiniteError(self._name, value, batch)
            self.total += value


def non_finite_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters that hold a NaN or an infinity (buffers may, such as masks).

    A sparse one stands for a dynamic table, which takes no such gradient.
    """
    dense = ((name, value) for name, value in model.named_parameters() if not value.is_sparse)
    return [name for name, value in dense if not bool(torch.isfinite(value).all())]


def explain_not_finite(
    error: NotFiniteError, batch: Batch, state: TrainingState, checkpoint: Path | None
) -> TrainingError:
    """Say where a loss or gradient went wrong, what may have caused it and what to do.

    Args:
        error: what the watch noticed.
        batch: the batch that it happened in.
        state: of the training.
        checkpoint: the last good one, None when there is none.
    """
    broken = non_finite_parameters(state.model)
    causes = [describe_batch(batch)]
    if broken:
        causes.append(f"the parameters that are no longer finite: {', '.join(broken)}")
    return TrainingError(
        f"the {error.name} is {error.value} in epoch {state.epoch + 1} of {state.epochs}, "
        f"batch {error.batch + 1} of {state.batches_per_epoch}",
        where="; ".join(causes),
        remedy=_remedy(state, checkpoint),
    )


def explain_broken_parameters(
    names: Sequence[str], state: TrainingState, checkpoint: Path | None
) -> TrainingError:
    """Say that a checkpoint was not written because it would hold no numbers.

    Args:
        names: of the parameters that are not finite.
        state: of the training.
        checkpoint: the last good one, None when there is none.
    """
    return TrainingError(
        f"parameters are no longer finite after step {state.step}: {', '.join(names)}",
        where=f"epoch {state.epoch + 1}, batch {state.batch}; no checkpoint was written of this",
        remedy=_remedy(state, checkpoint),
    )


def _remedy(state: TrainingState, checkpoint: Path | None) -> str:
    advice = (
        f"lower the learning rate (it is {state.learning_rate:g}), clip with max_grad_norm=1.0, "
        "or mend the columns named"
    )
    if checkpoint is None:
        return f"{advice}; no checkpoint was kept, checkpoint_dir= keeps one"
    return f"{advice}; the last good checkpoint is {checkpoint}, resume=True goes on from it"


def describe_batch(batch: Batch) -> str:
    """Say which columns of a batch could have made a loss non-finite.

    Args:
        batch: the batch that did.

    Returns:
        One line: each suspicious column with the number of non-finite entries or the largest value and
        the first row where they are, then the names of the other columns.
    """
    suspicious, ordinary = [], []
    for name, column in batch.items():
        problem = _problem(column)
        if problem:
            suspicious.append(f"{name!r} {problem}")
        else:
            ordinary.append(repr(name))
    parts = suspicious + ([f"nothing unusual in {', '.join(ordinary)}"] if ordinary else [])
    return "the batch: " + "; ".join(parts)


def _problem(column: Tensor | Ragged) -> str:
    values = (column.values if isinstance(column, Ragged) else column).detach()
    if not values.is_floating_point() or values.numel() == 0:
        return ""
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        count = int((~finite).sum())
        return f"has {count} of {values.numel()} entries NaN or infinite, first in {_row(column, ~finite)}"
    largest = float(values.abs().max())
    if largest > _EXTREME:
        return f"has extreme values, up to {largest:.3g}, first in {_row(column, values.abs() > _EXTREME)}"
    return ""


def _row(column: Tensor | Ragged, chosen: Tensor) -> str:
    first = int(chosen.reshape(len(chosen), -1).any(1).nonzero()[0]) if chosen.ndim else 0
    if isinstance(column, Ragged):
        first = int(column.row_ids()[first])
    return f"row {first}"
