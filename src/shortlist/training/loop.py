"""The training loop: forward, backward, step, callbacks."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from shortlist.data.feature_space import Batch
from shortlist.errors import ConfigError, ShapeError
from shortlist.training.batches import Loader, to_device
from shortlist.training.callbacks import Callback, TrainingState
from shortlist.training.checkpoint import Checkpoints
from shortlist.training.early_stopping import EarlyStopping
from shortlist.training.finite import (
    FiniteWatch,
    NotFiniteError,
    explain_broken_parameters,
    explain_not_finite,
    non_finite_parameters,
)
from shortlist.training.gradients import clip_gradients
from shortlist.training.interrupts import InterruptGuard
from shortlist.training.randomness import preserved_rng
from shortlist.training.resume import snapshot
from shortlist.training.schedules import Schedule

_GPU_READS_EVERY = 32  # steps between two looks at the loss where each look waits for the device
_ROW_NAMES = ("epoch", "loss", "learning_rate", "seconds")


@dataclass
class Loop:
    """One training, from where `state` stands to its last epoch.

    Args:
        state: the model, the optimizer and the position.
        loader: of the batches.
        device: that the model is on.
        schedule: of the learning rate.
        autocast: what the forward pass runs in.
        scaler: of the loss, for float16.
        max_grad_norm: clips the gradients; None doesn't.
        validate: called after each epoch, in evaluation mode and without gradients.
        stopping: follows the monitored metric; None follows none.
        restore_best: whether the model ends with the weights of the best epoch.
        checkpoints: where to save; None doesn't.
        checkpoint_every: steps between two checkpoints within an epoch.
        callbacks: called in this order.
    """

    state: TrainingState
    loader: Loader
    device: torch.device
    schedule: Schedule
    autocast: AbstractContextManager[object]
    scaler: torch.amp.GradScaler
    max_grad_norm: float | None
    validate: Callable[[], Mapping[str, float]] | None
    stopping: EarlyStopping | None
    restore_best: bool
    checkpoints: Checkpoints | None
    checkpoint_every: int | None
    callbacks: Sequence[Callback]
    guard: InterruptGuard = field(default_factory=InterruptGuard)

    def __post_init__(self) -> None:
        every = 1 if self.device.type == "cpu" else _GPU_READS_EVERY
        self.losses = FiniteWatch("loss", every=every)
        self.norms = FiniteWatch("norm of the gradients", every=every)
        self._compute_loss = cast(Callable[[Batch], Tensor], self.state.model.compute_loss)
        self.base_rates = [float(group["lr"]) for group in self.state.optimizer.param_groups]
        self.best_model: dict[str, Any] | None = None
        self.spent = 0.0  # seconds that this epoch took before it was resumed
        self._started = time.perf_counter()

    def run(self) -> None:
        """Train to the last epoch, or until a callback or early stopping ends it.

        Raises:
            TrainingError: the loss, the gradients' norm or a parameter isn't finite.
            KeyboardInterrupt: after saving a checkpoint.
        """
        self.guard.install()
        try:
            self._run_epochs()
        except NotFiniteError as error:
            batch = next(iter(self.loader.epoch(self.state.epoch, start=error.batch)), {})
            raise explain_not_finite(error, batch, self.state, self._last_checkpoint()) from None
        finally:
            self.guard.remove()
            for callback in self.callbacks:
                callback.on_train_end(self.state)
            self._set_learning_rate(1.0)  # an optimizer that is used again starts where it started here
            self.state.model.eval()
        if self.restore_best and self.best_model is not None:
            self.state.model.load_state_dict(self.best_model)

    def _run_epochs(self) -> None:
        state = self.state
        try:
            for callback in self.callbacks:
                callback.on_train_start(state)
            while state.epoch < state.epochs and not state.stop and not self._has_stopped_early():
                self._train_epoch()
                if state.batch == state.batches_per_epoch:
                    self._finish_epoch()
            self._save()
        except KeyboardInterrupt:
            if not self.guard.is_torn:
                self._save()
            raise

    def _train_epoch(self) -> None:
        state = self.state
        state.model.train()
        self._started = time.perf_counter()
        for batch in self.loader.epoch(state.epoch, start=state.batch):
            with self.guard:
                self._step(to_device(batch, self.device))
            for callback in self.callbacks:
                callback.on_step_end(state)
            if state.stop:
                return
            if self.checkpoint_every and state.step % self.checkpoint_every == 0:
                with self.guard:
                    self._save()
        if state.batch != state.batches_per_epoch:
            raise ConfigError(
                f"the loader yielded {state.batch} batches in epoch {state.epoch + 1}, "
                f"but its length is {state.batches_per_epoch}",
                remedy="make len(loader) the number of batches that loader.epoch(number) yields",
            )

    def _step(self, batch: Batch) -> None:
        state, optimizer = self.state, self.state.optimizer
        if not self.schedule.is_constant:
            misses = self.stopping.misses if self.stopping else 0
            self._set_learning_rate(self.schedule.factor(state.step, misses=misses))
        optimizer.zero_grad()
        with self.autocast:
            loss = self._compute_loss(batch)
        if loss.ndim != 0 or not loss.requires_grad:
            raise ShapeError(
                f"compute_loss returned a tensor of shape {tuple(loss.shape)}, "
                f"requires_grad={loss.requires_grad}",
                where=type(state.model).__name__,
                remedy="return a scalar that depends on the model's parameters, such as losses.mean()",
            )
        state.loss = loss.detach()
        self.losses.add(state.batch, state.loss)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.max_grad_norm is not None:
            self._clip(self.max_grad_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        state.batch += 1
        state.step += 1

    def _clip(self, max_norm: float) -> None:
        self.scaler.unscale_(self.state.optimizer)
        groups = self.state.optimizer.param_groups  # zero_grad clears these parameters' gradients only
        norm = clip_gradients((value for group in groups for value in group["params"]), max_norm)
        if not self.scaler.is_enabled():  # else an overflow is ordinary: the scaler skips the step
            self.norms.add(self.state.batch, norm)

    def _set_learning_rate(self, factor: float) -> None:
        if not self.schedule.is_constant:
            for group, rate in zip(self.state.optimizer.param_groups, self.base_rates, strict=True):
                group["lr"] = rate * factor

    def _finish_epoch(self) -> None:
        state = self.state
        self._read_watches()
        metrics = self._validate()
        row = {
            "epoch": state.epoch + 1,
            "loss": self.losses.total / state.batches_per_epoch,
            **metrics,
            "learning_rate": state.learning_rate,
            "seconds": self.seconds(),
        }
        with self.guard:
            is_best = self.stopping.update(row) if self.stopping else False
            if is_best and self.restore_best:
                self.best_model = copy.deepcopy(state.model.state_dict())
            state.history.append(row)
            state.epoch, state.batch, self.losses.total, self.spent = state.epoch + 1, 0, 0.0, 0.0
            self._started = time.perf_counter()
            self._save(is_best=is_best)
        for callback in self.callbacks:
            callback.on_epoch_end(state)

    def _has_stopped_early(self) -> bool:
        return self.stopping is not None and self.stopping.is_exhausted

    def _validate(self) -> dict[str, float]:
        if self.validate is None:
            return {}
        self.state.model.eval()
        with torch.no_grad(), preserved_rng(self.device):  # what is trained must not depend on it
            metrics = {name: float(value) for name, value in self.validate().items()}
        for name in _ROW_NAMES:
            if name in metrics:
                raise ConfigError(
                    f"validate returned a metric named {name!r}, which the history uses itself",
                    remedy=f"call it 'validation_{name}'",
                )
        return metrics

    def seconds(self) -> float:
        """Spent on the current epoch so far."""
        return self.spent + time.perf_counter() - self._started

    def _read_watches(self) -> None:
        self.losses.flush()
        self.norms.flush()

    def _save(self, *, is_best: bool = False) -> None:
        if self.checkpoints is None:
            return
        self._read_watches()
        state = self.state
        if names := non_finite_parameters(state.model):
            raise explain_broken_parameters(names, state, self._last_checkpoint())
        self.checkpoints.save(snapshot(self), epoch=state.epoch, batch=state.batch, is_best=is_best)

    def _last_checkpoint(self) -> Path | None:
        return self.checkpoints.last() if self.checkpoints else None
