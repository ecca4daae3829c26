"""Which epoch was the best, and when to give up waiting for a better one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shortlist.errors import ConfigError, did_you_mean

_LOWER_IS_BETTER = ("loss", "mse", "mae", "error", "perplexity")


@dataclass
class EarlyStopping:
    """Follows one metric over the epochs.

    Args:
        monitor: the metric's name in the epoch's row.
        patience: epochs without improvement after which training stops; None never stops.
        mode: "min" or "max"; None infers it from the name (`infer_mode`).
        best: the best value so far.
        best_epoch: its epoch.
        waited: epochs since then.
        misses: epochs in all that were none better than the best before.
    """

    monitor: str
    patience: int | None = None
    mode: Literal["min", "max"] | None = None
    best: float | None = None
    best_epoch: int | None = None
    waited: int = 0
    misses: int = 0

    def __post_init__(self) -> None:
        if self.mode not in (None, "min", "max"):
            raise ConfigError(f"mode is {self.mode!r}", remedy=did_you_mean(str(self.mode), ["min", "max"]))
        if self.patience is not None and self.patience < 1:
            raise ConfigError(
                f"patience is {self.patience}", remedy="give at least 1, or None to train to the last epoch"
            )
        self.mode = self.mode or infer_mode(self.monitor)

    def update(self, row: Mapping[str, float]) -> bool:
        """Take note of an epoch.

        Args:
            row: the epoch's metrics and its number under "epoch".

        Returns:
            Whether it is the best so far. NaN never is; a tie isn't either.

        Raises:
            ConfigError: the metric isn't among them.
        """
        if self.monitor not in row:
            names = [name for name in row if name not in ("epoch", "learning_rate", "seconds")]
            raise ConfigError(
                f"monitor {self.monitor!r} is not a metric of the validation",
                remedy=did_you_mean(self.monitor, names),
            )
        value = row[self.monitor]
        if not math.isnan(value) and (self.best is None or self._is_better(value, self.best)):
            self.best, self.best_epoch, self.waited = value, int(row["epoch"]), 0
            return True
        self.waited += 1
        self.misses += 1
        return False

    @property
    def is_exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        names = ("best", "best_epoch", "waited", "misses")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.waited, self.misses = state["waited"], state["misses"]

    def _is_better(self, value: float, than: float) -> bool:
        return value < than if self.mode == "min" else value > than


def infer_mode(name: str) -> Literal["min", "max"]:
    """Whether a metric is better when it is lower, by its name.

    Args:
        name: such as "rmse", "log_loss" or "recall@10".

    Returns:
        "min" when a word of the name ends in loss, mse, mae, error or perplexity, else "max".
    """
    words = re.split(r"[^a-z]+", name.lower())
    return "min" if any(word.endswith(_LOWER_IS_BETTER) for word in words) else "max"
