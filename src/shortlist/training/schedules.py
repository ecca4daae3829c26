"""How the learning rate changes over a training, as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shortlist.errors import ConfigError, did_you_mean

Decay: TypeAlias = Callable[[int], float]
"""Step number, from 0 -> factor of the optimizer's learning rate."""


@dataclass(frozen=True)
class Schedule:
    """A warm-up followed by a decay.

    Being a function of the step alone, it needs no state of its own to resume.

    Args:
        name: of the decay: "constant", "cosine", "linear" or the name of a function of one's own.
        decay: step -> factor.
        warmup_steps: steps of a linear rise from `1 / warmup_steps` to 1 that multiplies the decay.
        total_steps: steps that the decay was made for; None where it doesn't matter.
    """

    name: str
    decay: Decay
    warmup_steps: int = 0
    total_steps: int | None = None

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied with at a step.

        Args:
            step: steps done before this one, from 0.
        """
        ramp = (step + 1) / self.warmup_steps if step < self.warmup_steps else 1.0
        return ramp * self.decay(step)

    @property
    def is_constant(self) -> bool:
        """Whether the learning rate never changes."""
        return self.name == "constant" and self.warmup_steps == 0

    def describe(self) -> dict[str, str | int | None]:
        """What a checkpoint records, to notice that a resumed training follows another schedule."""
        return {"name": self.name, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


def make_schedule(
    kind: Literal["cosine", "linear"] | Decay | None, total_steps: int, *, warmup_steps: int = 0
) -> Schedule:
    """Build a schedule.

    Args:
        kind: "cosine" or "linear" fall from 1 after the warm-up to 0 after the last step; None stays
            at 1; a function of the step (from 0) returns the factor itself.
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
        return Schedule("constant", lambda step: 1.0, warmup_steps)
    if callable(kind):
        return Schedule(getattr(kind, "__qualname__", type(kind).__name__), kind, warmup_steps)
    if kind == "cosine":
        return Schedule(kind, cosine, warmup_steps, total_steps)
    if kind == "linear":
        return Schedule(kind, linear, warmup_steps, total_steps)
    raise ConfigError(f"schedule {kind!r} is unknown", remedy=did_you_mean(kind, ["cosine", "linear"]))
