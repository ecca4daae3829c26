"""How the learning rate changes over a training: with the step, or with the epochs that brought nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from shortlist.errors import ConfigError, did_you_mean

_MISS_FACTOR = 0.1  # of "plateau"

Kind: TypeAlias = Literal["cosine", "linear", "plateau"]
"""The schedules that have a name."""

Decay: TypeAlias = Callable[[int], float]
"""Step number, from 0 -> factor of the optimizer's learning rate."""


@dataclass(frozen=True)
class Schedule:
    """A warm-up followed by a decay.

    Being a function of the step and of the epochs that were none better, which the early stopping counts, it
    needs no state of its own to resume.

    Args:
        name: of the decay: "constant", "cosine", "linear", "plateau" or the name of a function of one's own.
        decay: step -> factor.
        warmup_steps: steps of a linear rise from `1 / warmup_steps` to 1 that multiplies the decay.
        total_steps: steps that the decay was made for; None where it doesn't matter.
        miss_factor: what each epoch that was none better multiplies the learning rate with from then on.
    """

    name: str
    decay: Decay
    warmup_steps: int = 0
    total_steps: int | None = None
    miss_factor: float = 1.0

    def factor(self, step: int, *, misses: int = 0) -> float:
        """What the learning rate is multiplied with at a step.

        Args:
            step: steps done before this one, from 0.
            misses: epochs done before it that were none better than the best.
        """
        ramp = (step + 1) / self.warmup_steps if step < self.warmup_steps else 1.0
        return ramp * self.decay(step) * self.miss_factor**misses

    @property
    def is_constant(self) -> bool:
        """Whether the learning rate never changes."""
        return self.name == "constant" and self.warmup_steps == 0

    @property
    def needs_monitor(self) -> bool:
        """Whether it has to be known which epochs were better."""
        return self.miss_factor != 1

    def describe(self) -> dict[str, str | int | None]:
        """What a checkpoint records, to notice that a resumed training follows another schedule."""
        return {"name": self.name, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


def make_schedule(kind: Kind | Decay | None, total_steps: int, *, warmup_steps: int = 0) -> Schedule:
    """Build a schedule.

    Args:
        kind: "cosine" or "linear" fall from 1 after the warm-up to 0 after the last step; "plateau" falls to
            a tenth after each epoch that was none better; None stays at 1; a function of the step (from 0)
            returns the factor itself.
        total_steps: steps of the whole training, at least 1.
        warmup_steps: of the linear rise at the beginning, fewer than `total_steps`.

    Raises:
        ConfigError: the kind is unknown, or the warm-up would not end.
    """
    if not 0 <= warmup_steps < total_steps:
        raise ConfigError(
            f"warmup_steps is {warmup_steps}, but the training has {total_steps} steps",
            remedy=f"give a number from 0 to {total_steps - 1}, or train for more epochs",
        )
    falling = total_steps - warmup_steps

    def cosine(step: int) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * _progress(step)))

    def linear(step: int) -> float:
        return 1.0 - _progress(step)

    def _progress(step: int) -> float:
        return min(max(step - warmup_steps, 0) / falling, 1.0)

    if kind is None:
        return Schedule("constant", _stay, warmup_steps)
    if callable(kind):
        return Schedule(getattr(kind, "__qualname__", type(kind).__name__), kind, warmup_steps)
    if kind == "cosine":
        return Schedule(kind, cosine, warmup_steps, total_steps)
    if kind == "linear":
        return Schedule(kind, linear, warmup_steps, total_steps)
    if kind == "plateau":
        return Schedule(kind, _stay, warmup_steps, miss_factor=_MISS_FACTOR)
    raise ConfigError(f"schedule {kind!r} is unknown", remedy=did_you_mean(kind, get_args(Kind)))


def _stay(step: int) -> float:
    return 1.0
