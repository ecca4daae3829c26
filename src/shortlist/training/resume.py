"""All that a training needs to go on as if it had never stopped."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shortlist.errors import ConfigError
from shortlist.training.checkpoint import read_checkpoint
from shortlist.training.randomness import restore_rng, rng_state

if TYPE_CHECKING:
    from shortlist.training.loop import Loop


def snapshot(loop: Loop) -> dict[str, Any]:
    """What a checkpoint holds.

    Args:
        loop: between two steps.

    Returns:
        A nested structure for `Checkpoints.save`; its tensors are the loop's own, not copies.
    """
    state = loop.state
    return {
        "epoch": state.epoch,
        "batch": state.batch,
        "step": state.step,
        "batches_per_epoch": state.batches_per_epoch,
        "loss_total": loop.losses.total,
        "seconds": loop.seconds(),
        "schedule": loop.schedule.describe(),
        "learning_rates": loop.base_rates,
        "stopping": loop.stopping.state() if loop.stopping else None,
        "history": state.history,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": loop.scaler.state_dict(),
        "rng": rng_state(loop.device),
    }


def restore(loop: Loop, path: Path) -> None:
    """Put a loop to where a checkpoint was written.

    The learning rates of the loop's own optimizer hold where they differ from those recorded, so that
    a training can go on with a lower one.

    Args:
        loop: that has not run yet.
        path: of the checkpoint.

    Raises:
        BundleError: the checkpoint is damaged.
        ConfigError: the checkpoint is of another model, optimizer or loader.
    """
    saved = read_checkpoint(path)
    _check_fits(loop, saved, path)
    state = loop.state
    try:
        state.model.load_state_dict(saved["model"])
        state.optimizer.load_state_dict(saved["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(
            f"the checkpoint does not fit the model or the optimizer: {error}",
            where=str(path),
            remedy="build both as in the training that wrote it, or train anew in another checkpoint_dir",
        ) from error
    if saved["learning_rates"] != loop.base_rates:
        for group, rate in zip(state.optimizer.param_groups, loop.base_rates, strict=True):
            group["lr"] = rate
    if saved["scaler"]:
        loop.scaler.load_state_dict(saved["scaler"])
    if loop.stopping and saved["stopping"]:
        loop.stopping.restore(saved["stopping"])
    state.epoch, state.batch, state.step = saved["epoch"], saved["batch"], saved["step"]
    state.history[:] = saved["history"]
    loop.losses.total, loop.spent = saved["loss_total"], saved["seconds"]
    if loop.restore_best and loop.checkpoints and (best := loop.checkpoints.best()):
        loop.best_model = saved["model"] if best == path else read_checkpoint(best)["model"]
    restore_rng(saved["rng"], loop.device)


def _check_fits(loop: Loop, saved: Mapping[str, Any], path: Path) -> None:
    batches = loop.state.batches_per_epoch
    if saved["batch"] and saved["batches_per_epoch"] != batches:
        raise ConfigError(
            f"the checkpoint stands at batch {saved['batch']} of {saved['batches_per_epoch']}, "
            f"but the loader has {batches} batches an epoch",
            where=str(path),
            remedy="resume with the same data and batch size",
        )
    if saved["schedule"] != loop.schedule.describe():
        warnings.warn(
            f"the checkpoint {path} was trained under the schedule {saved['schedule']}, "
            f"this training goes on under {loop.schedule.describe()}: the learning rate may jump",
            stacklevel=4,  # the caller of fit
        )
