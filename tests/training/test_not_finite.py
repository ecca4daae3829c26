from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from shortlist.data.ragged import Ragged
from shortlist.errors import TrainingError
from shortlist.training import Callback, Checkpoints, fit, read_checkpoint
from shortlist.training.finite import FiniteWatch, NotFiniteError, describe_batch


def test_a_loss_that_is_nan_stops_with_the_place_the_column_and_the_checkpoint(make_model, loader, tmp_path):
    model = make_model()
    model.layers[1] = nn.Identity()  # a batch norm would carry the NaN on
    fit(model, loader, epochs=1, checkpoint_dir=tmp_path)
    good = Checkpoints(tmp_path).last()
    fourth = list(loader.epoch(1))[3]["numbers"][5]
    loader.numbers[(loader.numbers == fourth).all(1), 1] = math.nan

    with pytest.raises(TrainingError) as caught:
        fit(model, loader, epochs=3, checkpoint_dir=tmp_path, resume=True, learning_rate=0.01)

    message = str(caught.value)
    assert "the loss is nan in epoch 2 of 3, batch 4 of 6" in message
    assert "'numbers' has 1 of 32 entries NaN or infinite, first in row 5" in message
    assert "nothing unusual in 'item', 'history', 'rating'" in message
    assert "lower the learning rate (it is 0.01), clip with max_grad_norm=1.0" in message
    assert f"the last good checkpoint is {good}, resume=True goes on from it" in message
    assert Checkpoints(tmp_path).last() == good
    assert all(torch.isfinite(value).all() for value in model.parameters())  # stopped before the step
    assert all(torch.isfinite(value).all() for value in read_checkpoint(good)["model"].values())


def test_without_a_checkpoint_the_error_says_how_to_keep_one(make_model, loader):
    loader.rating[:] = math.inf
    with pytest.raises(TrainingError, match="no checkpoint was kept, checkpoint_dir= keeps one") as caught:
        fit(make_model(), loader, epochs=1)
    assert "'rating' has 16 of 16 entries NaN or infinite, first in row 0" in str(caught.value)


class RootModel(nn.Module):
    """The loss is finite at 0, its gradient is not."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def compute_loss(self, batch):
        return self.weight.sqrt() + batch["numbers"].mean()


def test_gradients_to_clip_that_are_infinite_stop_the_training(loader):
    model = RootModel()
    with pytest.raises(TrainingError, match="the norm of the gradients is inf in epoch 1 of 1, batch 1 of 6"):
        fit(model, loader, epochs=1, optimizer=torch.optim.SGD, learning_rate=0.1, max_grad_norm=1.0)
    assert model.weight == 0


def test_weights_that_are_not_finite_are_never_saved(loader, tmp_path):
    model = RootModel()
    with pytest.raises(TrainingError, match="no longer finite after step 1: weight") as caught:
        fit(
            model, loader, epochs=1, optimizer=torch.optim.SGD, learning_rate=0.1,
            checkpoint_dir=tmp_path, checkpoint_every=1,
        )  # fmt: skip
    assert "no checkpoint was kept" in str(caught.value)
    assert Checkpoints(tmp_path).last() is None


def test_weights_that_a_callback_broke_are_named(make_model, loader):
    class Breaker(Callback):
        def on_step_end(self, state):
            with torch.no_grad():
                state.model.layers[4].bias.fill_(math.nan)

    with pytest.raises(TrainingError, match=r"parameters that are no longer finite: layers\.4\.bias"):
        fit(make_model(), loader, epochs=1, callbacks=[Breaker()])


def test_values_read_late_still_name_their_batch():
    watch = FiniteWatch("loss", every=4)
    values = [1.0, 2.0, 3.0, 4.0, 5.0, math.inf]
    for batch, value in enumerate(values):
        watch.add(batch, torch.tensor(value))
    assert watch.total == 10.0
    with pytest.raises(NotFiniteError) as caught:
        watch.flush()
    assert (caught.value.batch, caught.value.value, watch.total) == (5, math.inf, 15.0)
    watch.flush()


def test_a_batch_is_described_by_what_is_unusual_in_it():
    prices = Ragged(torch.tensor([1.0, 2.0, -3e5]), torch.tensor([0, 1, 1, 3]))
    batch = {"user": torch.tensor([10**9]), "price": prices, "none": torch.empty(0), "one": torch.tensor(2.0)}
    assert describe_batch(batch) == (
        "the batch: 'price' has extreme values, up to 3e+05, first in row 2; "
        "nothing unusual in 'user', 'none', 'one'"
    )
