"""A training that was interrupted and resumed ends where one that was never interrupted does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from shortlist.errors import ConfigError
from shortlist.training import Callback, Checkpoints, fit, read_checkpoint

SETTINGS = {
    "epochs": 2,
    "learning_rate": 0.01,
    "schedule": "cosine",
    "warmup_steps": 3,
    "max_grad_norm": 1.0,
    "seed": 4,
}


class Interrupt(Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, state):
        if state.step == self.step:
            signal.raise_signal(signal.SIGINT)


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]


def straight(make_model, loader, **changes):
    model = make_model()
    return model, fit(model, loader, **SETTINGS | changes)


@pytest.mark.parametrize("step", [1, 3, 5, 6, 7, 11, 12])
def test_an_interrupted_training_goes_on_to_the_identical_weights(
    step, make_model, loader, tmp_path, same_weights
):
    expected, history = straight(make_model, loader)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), loader, **SETTINGS, checkpoint_dir=tmp_path, callbacks=[Interrupt(step)])
    resumed = make_model(seed=99)  # its weights come from the checkpoint
    torch.rand(step)  # the program's own random numbers play no part
    resumed_history = fit(resumed, loader, **SETTINGS, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)
    assert without_seconds(resumed_history) == without_seconds(history)


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.AdamW,
        torch.optim.Adagrad,
        torch.optim.NAdam,
        torch.optim.RMSprop,
        lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
        lambda parameters, lr: torch.optim.Adam(parameters, lr=lr, amsgrad=True),
    ],
)
def test_every_optimizers_state_is_kept(optimizer, make_model, loader, tmp_path, same_weights):
    expected, _ = straight(make_model, loader, optimizer=optimizer)
    first = make_model()
    with pytest.raises(KeyboardInterrupt):
        fit(first, loader, **SETTINGS, optimizer=optimizer, checkpoint_dir=tmp_path, callbacks=[Interrupt(8)])
    resumed = make_model()
    fit(resumed, loader, **SETTINGS, optimizer=optimizer, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_sparse_embeddings_resume_exactly(make_model, loader, tmp_path, same_weights):
    def model():
        made = make_model(sparse=True)
        made.layers.requires_grad_(False)
        return made

    expected, resumed = model(), model()
    changes = {"optimizer": torch.optim.SparseAdam}
    fit(expected, loader, **SETTINGS, **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), loader, **SETTINGS, **changes, checkpoint_dir=tmp_path, callbacks=[Interrupt(4)])
    fit(resumed, loader, **SETTINGS, **changes, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_resumes_exactly(precision, make_model, loader, tmp_path, same_weights):
    expected, _ = straight(make_model, loader, precision=precision)
    with pytest.raises(KeyboardInterrupt):
        fit(
            make_model(), loader, **SETTINGS, precision=precision, checkpoint_dir=tmp_path,
            callbacks=[Interrupt(8)],
        )  # fmt: skip
    resumed = make_model()
    fit(resumed, loader, **SETTINGS, precision=precision, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_a_training_resumed_between_epochs_keeps_the_best_of_before(
    make_model, loader, tmp_path, same_weights
):
    best = make_model()
    fit(best, loader, epochs=2)
    first, second = iter([0.1, 0.8, 0.3]), iter([0.5, 0.4])
    more = {"monitor": "auc", "checkpoint_dir": tmp_path}
    fit(make_model(), loader, epochs=3, validate=lambda: {"auc": next(first)}, **more)
    resumed = make_model()
    history = fit(resumed, loader, epochs=5, validate=lambda: {"auc": next(second)}, resume=True, **more)
    assert [row["auc"] for row in history.epochs] == [0.1, 0.8, 0.3, 0.5, 0.4]
    assert history.best_epoch == 2
    same_weights(resumed, best)


def test_checkpoints_within_an_epoch_do_not_change_the_training(make_model, loader, tmp_path, same_weights):
    expected, _ = straight(make_model, loader)
    model = make_model()
    fit(model, loader, **SETTINGS, checkpoint_dir=tmp_path, checkpoint_every=1)
    same_weights(model, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0002-batch-000000"]


def test_a_crash_loses_the_steps_since_the_last_checkpoint_only(make_model, loader, tmp_path, same_weights):
    class Crash(Callback):
        def on_step_end(self, state):
            if state.step == 9:
                raise OSError("the disk is gone")

    expected, _ = straight(make_model, loader)
    with pytest.raises(OSError, match="the disk is gone"):
        fit(
            make_model(), loader, **SETTINGS, checkpoint_dir=tmp_path, checkpoint_every=4, callbacks=[Crash()]
        )
    assert Checkpoints(tmp_path).last().name == "epoch-0001-batch-000002"
    resumed = make_model()
    fit(resumed, loader, **SETTINGS, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_a_training_that_a_callback_stopped_can_be_resumed(make_model, loader, tmp_path, same_weights):
    class Stop(Callback):
        def on_step_end(self, state):
            state.stop = state.step == 4

    expected, _ = straight(make_model, loader)
    fit(make_model(), loader, **SETTINGS, checkpoint_dir=tmp_path, callbacks=[Stop()])
    resumed = make_model()
    fit(resumed, loader, **SETTINGS, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_a_finished_training_that_is_resumed_does_nothing(make_model, loader, tmp_path, same_weights):
    expected, history = straight(make_model, loader, checkpoint_dir=tmp_path)
    resumed = make_model()
    assert fit(resumed, loader, **SETTINGS, checkpoint_dir=tmp_path, resume=True) == history
    same_weights(resumed, expected)


def test_with_nothing_to_resume_the_training_starts_anew(make_model, loader, tmp_path, same_weights):
    expected, _ = straight(make_model, loader)
    model = make_model()
    fit(model, loader, **SETTINGS, checkpoint_dir=tmp_path / "new", resume=True)
    same_weights(model, expected)


def test_a_training_can_go_on_with_a_lower_learning_rate(make_model, loader, tmp_path):
    fit(make_model(), loader, epochs=1, learning_rate=0.1, checkpoint_dir=tmp_path)
    history = fit(make_model(), loader, epochs=2, learning_rate=0.01, checkpoint_dir=tmp_path, resume=True)
    assert [row["learning_rate"] for row in history.epochs] == [0.1, 0.01]


def test_an_earlier_trainings_checkpoints_are_not_overwritten(make_model, loader, tmp_path):
    fit(make_model(), loader, epochs=1, checkpoint_dir=tmp_path)
    with pytest.raises(ConfigError, match="of an earlier training; pass resume=True"):
        fit(make_model(), loader, epochs=1, checkpoint_dir=tmp_path)


def test_a_checkpoint_of_another_model_is_refused(make_model, loader, tmp_path):
    fit(make_model(), loader, epochs=1, checkpoint_dir=tmp_path)
    other = make_model()
    other.layers[4] = torch.nn.Linear(16, 2)
    with pytest.raises(ConfigError, match="does not fit the model or the optimizer"):
        fit(other, loader, epochs=2, checkpoint_dir=tmp_path, resume=True)


def test_a_checkpoint_within_an_epoch_of_other_batches_is_refused(make_model, loader, make_loader, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), loader, epochs=1, checkpoint_dir=tmp_path, callbacks=[Interrupt(2)])
    with pytest.raises(ConfigError, match="stands at batch 2 of 6, but the loader has 12"):
        fit(make_model(), make_loader(batch_size=8), epochs=1, checkpoint_dir=tmp_path, resume=True)


def test_another_schedule_after_a_resume_is_warned_about(make_model, loader, tmp_path):
    fit(make_model(), loader, epochs=1, schedule="cosine", checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match="'total_steps': 6.*'total_steps': 12.*may jump") as warned:
        fit(make_model(), loader, epochs=2, schedule="cosine", checkpoint_dir=tmp_path, resume=True)
    assert warned[0].filename == __file__


def test_ctrl_c_within_a_step_waits_for_its_end(make_model, loader, tmp_path, same_weights):
    expected, _ = straight(make_model, loader)
    model = make_model()
    handle = model.layers[0].register_full_backward_hook(lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        fit(model, loader, **SETTINGS, checkpoint_dir=tmp_path)
    assert Checkpoints(tmp_path).last().name == "epoch-0000-batch-000001"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    handle.remove()
    resumed = make_model()
    fit(resumed, loader, **SETTINGS, checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_a_second_ctrl_c_within_a_step_saves_nothing_half_done(make_model, loader, tmp_path):
    def press_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    model = make_model()
    model.layers[0].register_forward_hook(press_twice)
    with pytest.raises(KeyboardInterrupt):
        fit(model, loader, **SETTINGS, checkpoint_dir=tmp_path)
    assert Checkpoints(tmp_path).last() is None


def test_a_program_that_handles_ctrl_c_itself_goes_on_doing_so(make_model, loader):
    caught = []
    previous = signal.signal(signal.SIGINT, lambda *_: caught.append(True))
    try:
        fit(make_model(), loader, epochs=1, callbacks=[Interrupt(2)])
    finally:
        signal.signal(signal.SIGINT, previous)
    assert caught == [True]


def test_it_trains_outside_the_main_thread(make_model, loader):
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(make_model(), loader, epochs=1)))
    thread.start()
    thread.join()
    assert len(histories) == 1


FORKS_TRAININGS = """
import os, sys
sys.path.insert(0, sys.argv[1])
import torch
from conftest import SmallLoader, SmallModel
from shortlist.training import Callback, fit

class Say(Callback):
    def on_step_end(self, state):
        print(state.step, flush=True)

torch.set_num_threads(1)
torch.optim.Adam([torch.zeros(1)])  # the first optimizer of a process imports much: once, before the forks
for line in sys.stdin:  # each line starts a training, in a process of its own
    if (child := os.fork()) == 0:
        print("pid", os.getpid(), flush=True)
        model = SmallModel()
        model.ballast = torch.nn.Parameter(torch.zeros(1 << 18))  # a save takes long enough to be hit
        fit(model, SmallLoader(), epochs=200, learning_rate=0.01, schedule="cosine", warmup_steps=5,
            seed=4, checkpoint_dir=sys.argv[2], checkpoint_every=1, resume=True, callbacks=[Say()])
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@pytest.fixture
def server(tmp_path):
    """A process that forks trainings, so that torch is imported once for many kills."""
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", FORKS_TRAININGS, str(here), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def train_and_kill(server: subprocess.Popen[str], steps: int, delay: float) -> int:
    """Have a training started, kill it some time after so many steps; the last step it told of."""
    server.stdin.write("train\n")
    server.stdin.flush()
    child = int(server.stdout.readline().removeprefix("pid "))
    told = [int(server.stdout.readline()) for _ in range(steps)]
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    while (line := server.stdout.readline()) != "dead\n":
        told.append(int(line))
    return told[-1]


def test_a_process_killed_at_any_moment_leaves_whole_checkpoints(server, tmp_path, make_model, loader):
    before = 0
    for kill in range(12):
        told = train_and_kill(server, 2, 0.0017 * kill)
        last = Checkpoints(tmp_path).last()
        reached = read_checkpoint(last)["step"]
        assert before < told - 1 <= reached <= told  # the save of the last step may have been under way
        before = reached

    class Stop(Callback):
        def on_step_end(self, state):
            state.stop = state.step == before

    straight, saved, threads = make_model(), read_checkpoint(last)["model"], torch.get_num_threads()
    torch.set_num_threads(1)
    straight.ballast = torch.nn.Parameter(torch.zeros(1 << 18))
    fit(
        straight, loader, epochs=200, learning_rate=0.01, schedule="cosine", warmup_steps=5, seed=4,
        callbacks=[Stop()],
    )  # fmt: skip
    torch.set_num_threads(threads)
    assert all(torch.equal(value, saved[name]) for name, value in straight.state_dict().items())
