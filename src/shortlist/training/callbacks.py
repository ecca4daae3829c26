"""What a callback sees, and when it is called."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass
class TrainingState:
    """Where a training stands: read by callbacks, written by the loop.

    Args:
        model: being trained, in training mode.
        optimizer: with the learning rates of the last step in its groups.
        epochs: epochs asked for.
        batches_per_epoch: batches in each.
        epoch: epochs done.
        batch: batches done in the current epoch.
        step: optimizer steps done.
        loss: detached scalar loss of the last batch, on the model's device; reading it on a GPU waits.
        history: one row per epoch done, as in `TrainingHistory`.
        stop: set it to True to end the training after the current step.
    """

    model: nn.Module
    optimizer: Optimizer
    epochs: int
    batches_per_epoch: int
    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: Tensor = field(default_factory=lambda: torch.tensor(float("nan")))
    history: list[dict[str, float]] = field(default_factory=list)
    stop: bool = False

    @property
    def learning_rate(self) -> float:
        """Of the first parameter group, at the last step."""
        return float(self.optimizer.param_groups[0]["lr"])


class Callback:
    """Base class: override what you need.

    The calls see torch's random state and must leave it alone for a training to resume exactly.
    """

    def on_train_start(self, state: TrainingState) -> None:
        """Before the first step; after a resume `state` is where the training goes on."""

    def on_step_end(self, state: TrainingState) -> None:
        """After each optimizer step."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After an epoch's validation; its row is `state.history[-1]`."""

    def on_train_end(self, state: TrainingState) -> None:
        """At the very end, also after an error or an interrupt."""
