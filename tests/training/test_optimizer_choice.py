"""The optimizer that `fit` makes: which parameters it decays, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from shortlist.errors import ConfigError
from shortlist.training import Adagrad, Callback, fit

DECAY = 0.3


def penalised(model):
    """The model with the tables' L2 penalty in its loss."""
    plain = model.compute_loss
    tables = [model.items.weight, model.history.weight]
    model.compute_loss = lambda batch: plain(batch) + DECAY / 2 * sum(each.square().sum() for each in tables)
    return model


@pytest.mark.parametrize("optimizer", [None, torch.optim.SGD, torch.optim.Adam, torch.optim.Adagrad])
def test_embedding_decay_is_an_l2_penalty_of_the_tables_alone(optimizer, make_model, loader):
    decayed, expected = make_model(), penalised(make_model())
    options = {"epochs": 3, "optimizer": optimizer, "learning_rate": 0.01, "schedule": "cosine"}
    fit(decayed, loader, embedding_decay=DECAY, **options)
    fit(expected, loader, **options)
    for (name, weight), other in zip(decayed.named_parameters(), expected.parameters(), strict=True):
        if (
            name != "layers.0.bias"
        ):  # the norm after it takes it out again, so that it drifts with the rounding
            torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-5, msg=name)
    without = make_model()
    fit(without, loader, **options)
    assert without.items.weight.norm() > 1.01 * decayed.items.weight.norm()


def test_a_training_with_decay_resumes_to_the_identical_weights(make_model, loader, tmp_path, same_weights):
    class Stop(Callback):
        def on_step_end(self, state):
            state.stop = state.step == 8

    options = {"epochs": 2, "learning_rate": 0.01, "embedding_decay": DECAY}
    expected, resumed = make_model(), make_model(seed=5)
    fit(expected, loader, **options)
    fit(make_model(), loader, **options, checkpoint_dir=tmp_path, callbacks=[Stop()])
    fit(resumed, loader, **options, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_a_frozen_table_is_not_decayed(make_model, loader):
    model = make_model()
    model.items.requires_grad_(False)
    before = model.items.weight.clone()
    fit(model, loader, epochs=1, embedding_decay=DECAY)
    assert torch.equal(model.items.weight, before)


@pytest.mark.parametrize("decay", [-1.0, math.nan, math.inf])
def test_a_decay_out_of_range_is_refused(decay, make_model, loader):
    with pytest.raises(ConfigError, match=rf"embedding_decay is {decay}; give 0 or more"):
        fit(make_model(), loader, epochs=1, embedding_decay=decay)


def test_decay_for_a_finished_optimizer_is_refused(make_model, loader):
    model = make_model()
    with pytest.raises(ConfigError, match=r"embedding_decay is 0\.3, but the optimizer is made already"):
        fit(model, loader, epochs=1, embedding_decay=DECAY, optimizer=torch.optim.SGD(model.parameters()))


def test_decay_that_would_be_passed_over_is_refused(make_model, loader):
    with pytest.raises(ConfigError, match="Adagrad has no weight_decay; pass one of torch's own"):
        fit(make_model(), loader, epochs=1, embedding_decay=DECAY, optimizer=Adagrad)
    with pytest.raises(ConfigError, match=r"gradients of 'items' leave out the rows .*sparse=False"):
        fit(make_model(sparse=True), loader, epochs=1, embedding_decay=DECAY)


class Tableless(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def compute_loss(self, batch):
        return self.layer(batch["numbers"]).mean()


def test_decay_of_tables_that_are_not_there_is_refused(make_model, loader):
    with pytest.raises(ConfigError, match=r"no embedding table to train \(Tableless\); leave it out"):
        fit(Tableless(), loader, epochs=1, embedding_decay=DECAY)
