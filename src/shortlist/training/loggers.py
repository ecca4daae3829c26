"""Callbacks that write down how training went."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from shortlist.errors import ConfigError
from shortlist.training.callbacks import Callback, TrainingState


class CsvLogger(Callback):
    """Writes one row per epoch to a CSV file.

    The file is replaced as a whole after each epoch, so it is complete after a resume and never torn.

    Args:
        path: of the file; its folder is made.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write all rows."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        columns = list(dict.fromkeys(name for row in state.history for name in row))
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(state.history)
        temporary.replace(self.path)


class TensorBoardLogger(Callback):
    """Writes the loss every few steps and every metric once an epoch for TensorBoard.

    Args:
        folder: of the event files.
        every: steps between two points of the loss.

    Raises:
        ConfigError: TensorBoard isn't installed.
    """

    def __init__(self, folder: Path | str, *, every: int = 50) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "TensorBoardLogger needs the package 'tensorboard', which is not installed",
                remedy="run: pip install 'shortlist[tensorboard]'",
            ) from error
        self.folder = Path(folder)
        self.every = every
        self._writer_class = SummaryWriter
        self._writer: Any = None  # made at the start, when it is known from which step on

    def on_train_start(self, state: TrainingState) -> None:
        """Open the event file; after a resume, what was written beyond the checkpoint is hidden."""
        purge = state.step + 1 if state.step else None
        self._writer = self._writer_class(str(self.folder), purge_step=purge)

    def on_step_end(self, state: TrainingState) -> None:
        """Write the loss and the learning rate now and then."""
        if state.step % self.every == 0:
            self._writer.add_scalar("step/loss", state.loss.item(), state.step)
            self._writer.add_scalar("step/learning_rate", state.learning_rate, state.step)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write the epoch's row."""
        for name, value in state.history[-1].items():
            if name != "epoch":
                self._writer.add_scalar(f"epoch/{name}", value, state.step)
        self._writer.flush()

    def on_train_end(self, state: TrainingState) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
