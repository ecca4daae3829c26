"""`fit`: train any module that can compute its own loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from shortlist.errors import ConfigError
from shortlist.training.batches import Loader
from shortlist.training.callbacks import Callback, TrainingState
from shortlist.training.checkpoint import Checkpoints
from shortlist.training.early_stopping import EarlyStopping
from shortlist.training.loop import Loop
from shortlist.training.optimizer_choice import MakeOptimizer, choose_optimizer
from shortlist.training.precision import Precision, autocast, gradient_scaler
from shortlist.training.progress import ProgressBar
from shortlist.training.randomness import preserved_rng
from shortlist.training.resume import restore
from shortlist.training.schedules import Decay, Kind, make_schedule


@dataclass(frozen=True)
class TrainingHistory:
    """How a training went.

    Args:
        epochs: one row per epoch: "epoch" (from 1), "loss" (mean over its batches), the validation's
            metrics, "learning_rate" (of its last step) and "seconds" (with validation).
        best_epoch: number of the epoch whose monitored metric was best; None without `monitor`.
    """

    epochs: list[dict[str, float]]
    best_epoch: int | None = None


def fit(
    model: nn.Module,
    loader: Loader,
    *,
    epochs: int,
    optimizer: Optimizer | MakeOptimizer | None = None,
    learning_rate: float | None = None,
    embedding_decay: float = 0.0,
    schedule: Kind | Decay | None = None,
    warmup_steps: int = 0,
    max_grad_norm: float | None = None,
    precision: Precision = "float32",
    device: torch.device | str | None = None,
    validate: Callable[[], Mapping[str, float]] | None = None,
    monitor: str | None = None,
    mode: Literal["min", "max"] | None = None,
    patience: int | None = None,
    restore_best: bool = True,
    checkpoint_dir: Path | str | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    callbacks: Iterable[Callback] = (),
    seed: int = 0,
    progress: bool = False,
) -> TrainingHistory:
    """Train a module for some epochs.

    The module is left in evaluation mode; torch's global random state and Ctrl-C are given back as
    they were found. Ctrl-C finishes the step under way, saves a checkpoint and raises.

    An interrupted and resumed training makes the same steps as one that was never interrupted: bit for bit
    on a CPU; on one CUDA device from the same batches and random numbers, but a GPU may add up in another
    order each time. What else draws random numbers must hang on `(seed, epoch)` as the loader does, or keep
    its state in the model's `state_dict`.

    Args:
        model: with a method `compute_loss(batch) -> scalar Tensor`.
        loader: of the batches; see `Loader`.
        epochs: to train in all, those before a resume included.
        optimizer: an optimizer of this model's parameters, or a function or class that makes one from
            a list of parameters (called with `lr=learning_rate` when that is given). None is
            `torch.optim.Adam`, fused, or `LazyAdam` where the model has tables with sparse gradients.
        learning_rate: for the optimizer to be made; None is its own default (Adam's 0.001).
        embedding_decay: weight decay of the embedding tables alone, for the optimizer to be made; with Adam
            their L2 regularisation: half their sum of squares, times this, joins the loss.
        schedule: "cosine" or "linear" lets the learning rate fall to 0, "plateau" to a tenth after each
            epoch whose monitored metric is none better, which needs `monitor`; a function of the step returns
            a factor of it, None keeps it.
        warmup_steps: steps over which the learning rate first rises.
        max_grad_norm: gradients of a larger Euclidean norm are scaled down to it, all together.
        precision: of the forward pass; "float16" scales the loss.
        device: to train on; None is where the model is.
        validate: computes the validation metrics after each epoch.
        monitor: the metric that says which epoch is the best; "loss" is the training loss.
        mode: "min" or "max", whether lower is better; None infers it from the name (`infer_mode`).
        patience: epochs without improvement after which to stop; needs `monitor`.
        restore_best: end with the weights of the best epoch; nothing to do without `monitor`.
        checkpoint_dir: folder for the last and the best checkpoint; see `Checkpoints`.
        checkpoint_every: steps between two checkpoints; None saves after each epoch only.
        resume: go on from the last checkpoint; with none there, start anew.
        callbacks: called in this order.
        seed: of torch's generators during the training, for dropout.
        progress: show a progress bar when it takes longer than a second.

    Returns:
        The epochs' rows, those before a resume included.

    Raises:
        ConfigError: an argument is out of range or contradicts another, or the checkpoints in
            `checkpoint_dir` are not of this training.
        TrainingError: the loss, the norm of the gradients to clip or a parameter to save is NaN or
            infinite. The last good checkpoint is kept and named.
        BundleError: the checkpoint to resume from is damaged.
    """
    if epochs < 1:
        raise ConfigError(f"epochs is {epochs}", remedy="give at least 1")
    if len(loader) < 1:
        raise ConfigError("the loader has no batches", remedy="give it data, or a smaller batch size")
    if max_grad_norm is not None and not max_grad_norm > 0:
        raise ConfigError(f"max_grad_norm is {max_grad_norm}", remedy="give a positive number or None")
    stopping = _make_stopping(monitor, patience, mode, has_metrics=validate is not None)
    changes = make_schedule(schedule, epochs * len(loader), warmup_steps=warmup_steps)
    if changes.needs_monitor and stopping is None:
        raise ConfigError(
            f"schedule={schedule!r} needs monitor", remedy="name the metric of validate() to watch"
        )
    place = _place(model, device)
    made = choose_optimizer(optimizer, model, learning_rate=learning_rate, embedding_decay=embedding_decay)
    loop = Loop(
        state=TrainingState(model, made, epochs=epochs, batches_per_epoch=len(loader)),
        loader=loader,
        device=place,
        schedule=changes,
        autocast=autocast(precision, place),
        scaler=gradient_scaler(precision, place),
        max_grad_norm=max_grad_norm,
        validate=validate,
        stopping=stopping,
        restore_best=restore_best,
        checkpoints=_open_checkpoints(checkpoint_dir, checkpoint_every, resume=resume),
        checkpoint_every=checkpoint_every,
        callbacks=[*callbacks, ProgressBar()] if progress else list(callbacks),
    )
    with preserved_rng(place, seed=seed):
        if loop.checkpoints and (last := loop.checkpoints.last()):
            restore(loop, last)
        loop.run()
    return TrainingHistory(loop.state.history, stopping.best_epoch if stopping else None)


def _open_checkpoints(folder: Path | str | None, every: int | None, *, resume: bool) -> Checkpoints | None:
    if folder is None:
        if every is not None or resume:
            raise ConfigError(
                f"{'resume' if resume else 'checkpoint_every'} needs checkpoint_dir",
                remedy="name the folder of the checkpoints",
            )
        return None
    if every is not None and every < 1:
        raise ConfigError(f"checkpoint_every is {every}", remedy="give at least 1, or None")
    checkpoints = Checkpoints(folder)
    if not resume and (last := checkpoints.last()):
        raise ConfigError(
            f"checkpoint_dir {str(folder)!r} holds the checkpoint {last.name!r} of an earlier training",
            remedy="pass resume=True to go on from it, or name another folder",
        )
    return checkpoints


def _make_stopping(
    monitor: str | None, patience: int | None, mode: Literal["min", "max"] | None, *, has_metrics: bool
) -> EarlyStopping | None:
    if monitor is None:
        if patience is not None or mode is not None:
            raise ConfigError(
                f"{'mode' if patience is None else 'patience'} needs monitor",
                remedy="name the metric of validate() to watch",
            )
        return None
    if not has_metrics and monitor != "loss":
        raise ConfigError(
            f"monitor is {monitor!r}, but there is no validation that could measure it",
            remedy="pass validate=, or monitor='loss'",
        )
    return EarlyStopping(monitor, patience=patience, mode=mode)


def _place(model: nn.Module, device: torch.device | str | None) -> torch.device:
    """Move the model; the device of its first parameter carries the number that "cuda" leaves open."""
    if not callable(getattr(model, "compute_loss", None)):
        raise ConfigError(
            f"{type(model).__name__} has no method compute_loss",
            remedy="define compute_loss(self, batch) that returns a scalar loss",
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(
            f"{type(model).__name__} has no parameters to train",
            remedy="assign its layers in __init__, and leave requires_grad on for some",
        )
    if device is not None:
        try:
            model.to(device)
        except (RuntimeError, AssertionError) as error:  # the latter where PyTorch was built without CUDA
            raise ConfigError(
                f"the model cannot move to device {str(device)!r}: {str(error).splitlines()[0]}",
                remedy="pass 'cuda' where torch.cuda.is_available(), 'cpu', or leave device out",
            ) from error
    return next(model.parameters()).device
