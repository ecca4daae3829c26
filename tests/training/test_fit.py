from __future__ import annotations

import math
import random
import signal

import numpy as np
import pytest
import torch
from torch import nn

from shortlist.errors import ConfigError, ShapeError
from shortlist.training import Callback, TrainingHistory, fit, to_device


class Recorder(Callback):
    def __init__(self):
        self.calls = []
        self.rates = []

    def on_train_start(self, state):
        self.calls.append("start")

    def on_step_end(self, state):
        self.calls.append(f"step {state.epoch}.{state.batch}")
        self.rates.append(state.learning_rate)

    def on_epoch_end(self, state):
        self.calls.append(f"epoch {state.epoch}")

    def on_train_end(self, state):
        self.calls.append("end")


def raw_loop(model, loader, epochs, *, lr=1e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()
        for epoch in range(epochs):
            for batch in loader.epoch(epoch):
                optimizer.zero_grad()
                model.compute_loss(batch).backward()
                optimizer.step()


def test_it_makes_the_steps_of_a_loop_written_by_hand(make_model, loader, same_weights):
    ours, by_hand = make_model(), make_model()
    history = fit(ours, loader, epochs=3)
    raw_loop(by_hand, loader, 3)
    same_weights(ours, by_hand)
    assert isinstance(history, TrainingHistory)
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]


def test_the_loss_of_an_epoch_is_the_mean_over_its_batches(make_model, loader):
    model = make_model(dropout=0)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    history = fit(model, loader, epochs=1, optimizer=frozen)
    with torch.no_grad():
        model = make_model(dropout=0)
        expected = [model.train().compute_loss(batch).item() for batch in loader.epoch(0)]
    assert history.epochs[0]["loss"] == pytest.approx(sum(expected) / len(expected), rel=1e-6)
    assert set(history.epochs[0]) == {"epoch", "loss", "learning_rate", "seconds"}


def test_it_trains_and_the_validation_is_in_the_history(make_model, loader):
    model = make_model()

    def validate():
        assert not model.training
        assert not torch.is_grad_enabled()
        return {"rmse": math.sqrt(sum(model.compute_loss(batch) for batch in loader.epoch(0)) / len(loader))}

    history = fit(model, loader, epochs=20, learning_rate=0.02, validate=validate)
    assert history.epochs[-1]["rmse"] < 0.7 * history.epochs[0]["rmse"]
    assert not model.training


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_model, loader, same_weights):
    models = [make_model() for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        fit(model, loader, epochs=1, seed=seed)
    same_weights(models[0], models[1])
    assert not torch.equal(models[0].layers[0].weight, models[2].layers[0].weight)


def test_the_programs_own_random_numbers_are_not_disturbed(make_model, loader):
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    expected = (torch.rand(3), np.random.rand(3), random.random())
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    fit(make_model(), loader, epochs=1, seed=3, validate=lambda: {"drawn": torch.rand(1).item()})
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    assert random.random() == expected[2]


def test_a_validation_that_draws_random_numbers_changes_nothing(make_model, loader, same_weights):
    one, other = make_model(), make_model()
    fit(one, loader, epochs=3)
    fit(other, loader, epochs=3, validate=lambda: {"drawn": torch.rand(10).mean().item()})
    same_weights(one, other)


def test_callbacks_are_called_in_order(make_model, make_loader):
    recorder = Recorder()
    fit(make_model(), make_loader(batch_size=48), epochs=2, callbacks=[recorder])
    assert recorder.calls == [
        "start", "step 0.1", "step 0.2", "epoch 1", "step 1.1", "step 1.2", "epoch 2", "end",
    ]  # fmt: skip


def test_a_callback_can_stop_the_training(make_model, loader):
    class StopAt(Callback):
        def on_step_end(self, state):
            state.stop = state.step == 8

    recorder = Recorder()
    history = fit(make_model(), loader, epochs=5, callbacks=[StopAt(), recorder])
    assert recorder.calls[-2:] == ["step 1.2", "end"]
    assert len(history.epochs) == 1


def test_the_end_is_told_also_after_an_error(make_model, loader):
    class Broken(Callback):
        def on_step_end(self, state):
            raise ZeroDivisionError

    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        fit(make_model(), loader, epochs=1, callbacks=[recorder, Broken()])
    assert recorder.calls == ["start", "step 0.1", "end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_schedule_sets_the_learning_rate_of_each_step(make_model, loader):
    model, recorder = make_model(), Recorder()
    optimizer = torch.optim.SGD(
        [{"params": model.layers.parameters(), "lr": 0.1}, {"params": model.items.parameters(), "lr": 0.2}]
    )
    fit(model, loader, epochs=2, optimizer=optimizer, schedule="linear", warmup_steps=2, callbacks=[recorder])
    expected = [0.05, 0.1] + [0.1 * (10 - step) / 10 for step in range(10)]
    assert recorder.rates == pytest.approx(expected)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]  # given back


def test_a_learning_rate_goes_to_the_optimizer_to_be_made(make_model, loader):
    for optimizer in (None, torch.optim.Adagrad, lambda parameters, lr: torch.optim.SGD(parameters, lr)):
        history = fit(make_model(), loader, epochs=1, optimizer=optimizer, learning_rate=0.07)
        assert history.epochs[0]["learning_rate"] == 0.07


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains_with_weights_in_float32(precision, make_model, loader):
    model = make_model(dropout=0)
    seen = []
    model.layers[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    history = fit(model, loader, epochs=10, learning_rate=0.02, precision=precision, max_grad_norm=5.0)
    assert set(seen) == {getattr(torch, precision)}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert history.epochs[-1]["loss"] < 0.5 * history.epochs[0]["loss"]


def test_a_batch_on_its_device_is_passed_on_as_it_is(loader):
    batch = next(loader.epoch(0))
    assert to_device(batch, torch.device("cpu")) is batch
    del batch["history"]  # a Ragged checks its offsets, which the meta device does not have
    moved = to_device(batch, torch.device("meta"))
    assert {value.device.type for value in moved.values()} == {"meta"}


def test_a_frozen_parameter_is_not_trained(make_model, loader):
    model = make_model()
    model.items.requires_grad_(False)
    before = model.items.weight.clone()
    fit(model, loader, epochs=1, optimizer=lambda parameters: torch.optim.AdamW(parameters, weight_decay=1.0))
    assert torch.equal(model.items.weight, before)


def test_clipping_looks_at_the_optimizers_parameters_only(make_model, loader, same_weights):
    models = [make_model(dropout=0), make_model(dropout=0)]
    models[1].items.requires_grad_(False)
    for model in models:  # in the first, the gradients of `items` pile up, since nothing clears them
        fit(model, loader, epochs=2, optimizer=torch.optim.SGD(model.layers.parameters()), max_grad_norm=0.1)
    same_weights(*models)


class Unfit(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs is 0; give at least 1"),
        ({"max_grad_norm": 0.0}, "max_grad_norm is 0.0; give a positive number"),
        ({"max_grad_norm": math.nan}, "max_grad_norm is nan"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a positive number"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"precision": "bf16"}, "precision 'bf16' is unknown; did you mean 'bfloat16'"),
        ({"schedule": "cos"}, "schedule 'cos' is unknown"),
        ({"warmup_steps": 100}, "warmup_steps is 100, but the training has 6 steps"),
        ({"patience": 2}, "patience needs monitor"),
        ({"mode": "min"}, "mode needs monitor"),
        ({"schedule": "plateau"}, "schedule='plateau' needs monitor"),
        ({"monitor": "auc"}, "monitor is 'auc', but there is no validation"),
        ({"monitor": "loss", "patience": 0}, "patience is 0"),
        ({"resume": True}, "resume needs checkpoint_dir"),
        ({"checkpoint_every": 5}, "checkpoint_every needs checkpoint_dir"),
    ],
)
def test_wrong_arguments_are_named_with_a_remedy(arguments, message, make_model, loader):
    with pytest.raises(ConfigError) as caught:
        fit(make_model(), loader, **{"epochs": 1, **arguments})
    assert message in str(caught.value)
    assert caught.value.remedy


def test_wrong_arguments_leave_no_folder(make_model, loader, tmp_path):
    with pytest.raises(ConfigError):
        fit(make_model(), loader, epochs=1, precision="int8", checkpoint_dir=tmp_path / "new")
    with pytest.raises(ConfigError, match="checkpoint_every is 0"):
        fit(make_model(), loader, epochs=1, checkpoint_every=0, checkpoint_dir=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_learning_rate_for_a_finished_optimizer_is_refused(make_model, loader):
    model = make_model()
    with pytest.raises(ConfigError, match="the optimizer is made already"):
        fit(model, loader, epochs=1, learning_rate=0.1, optimizer=torch.optim.SGD(model.parameters()))


def test_a_module_that_cannot_train_is_refused(make_model, loader, make_loader):
    with pytest.raises(ConfigError, match="Unfit has no method compute_loss"):
        fit(Unfit(), loader, epochs=1)
    with pytest.raises(ConfigError, match="SmallModel has no parameters to train"):
        fit(make_model().requires_grad_(False), loader, epochs=1)
    with pytest.raises(ConfigError, match="the loader has no batches"):
        fit(make_model(), make_loader(rows=0), epochs=1)


@pytest.mark.parametrize("loss", [torch.ones(3, requires_grad=True), torch.tensor(1.0)])
def test_a_loss_that_is_no_trainable_scalar_is_refused(loss, make_model, loader):
    model = make_model()
    model.compute_loss = lambda batch: loss
    with pytest.raises(ShapeError, match=r"compute_loss returned .*\(SmallModel\); return a scalar"):
        fit(model, loader, epochs=1)


def test_a_loader_that_ends_too_soon_is_refused(make_model, make_loader):
    class Short(make_loader):
        def __len__(self):
            return super().__len__() + 1

    with pytest.raises(ConfigError, match="yielded 6 batches in epoch 1, but its length is 7"):
        fit(make_model(), Short(), epochs=1)


@pytest.mark.parametrize("name", ["loss", "epoch", "seconds", "learning_rate"])
def test_a_metric_with_a_name_of_the_history_is_refused(name, make_model, loader):
    with pytest.raises(ConfigError, match=f"call it 'validation_{name}'"):
        fit(make_model(), loader, epochs=1, validate=lambda: {name: 1.0})


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named_with_what_to_pass(device, make_model, loader):
    with pytest.raises(ConfigError, match=f"device '{device}'.*or leave device out"):
        fit(make_model(), loader, epochs=1, learning_rate=0.1, device=device)
