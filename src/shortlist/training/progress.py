"""A progress bar for trainings that take longer than a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shortlist.training.callbacks import Callback, TrainingState

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_SHOW_AFTER = 1.0  # seconds; what is over sooner needs no bar
_REFRESH = 0.1  # seconds between two updates, so that the bar costs nothing


class ProgressBar(Callback):
    """Shows the epoch, the loss and the time left, on standard error.

    Args:
        console: where to draw; None makes one on standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bar: tuple[Progress, TaskID] | None = None
        self._due = 0.0

    def on_train_start(self, state: TrainingState) -> None:
        """Start the clock."""
        self._due = time.monotonic() + _SHOW_AFTER

    def on_step_end(self, state: TrainingState) -> None:
        """Show or move the bar when it is due."""
        if (now := time.monotonic()) >= self._due:
            self._due = now + _REFRESH
            self._draw(state)

    def on_train_end(self, state: TrainingState) -> None:
        """Leave the bar at where training ended."""
        if self._bar is not None:
            self._draw(state)
            self._bar[0].stop()
            self._bar = None

    def _draw(self, state: TrainingState) -> None:
        if self._bar is None:
            self._bar = self._start(state)
        progress, task = self._bar
        epoch = min(state.epoch + 1, state.epochs)
        text = f"epoch {epoch} of {state.epochs}, loss {state.loss.item():.4f}"
        progress.update(task, completed=state.step, description=text)

    def _start(self, state: TrainingState) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=self._console or Console(stderr=True),
        )
        progress.start()
        return progress, progress.add_task("", total=state.epochs * state.batches_per_epoch)
