from __future__ import annotations

import csv
import io
import sys
import time

import pytest

from shortlist.errors import ConfigError
from shortlist.training import Callback, CsvLogger, ProgressBar, TensorBoardLogger, fit


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_file_has_the_historys_rows(make_model, loader, tmp_path):
    path = tmp_path / "logs" / "training.csv"
    history = fit(make_model(), loader, epochs=3, validate=lambda: {"auc": 0.5}, callbacks=[CsvLogger(path)])
    assert [{name: float(value) for name, value in row.items()} for row in rows(path)] == history.epochs
    assert [file.name for file in path.parent.iterdir()] == ["training.csv"]


def test_the_csv_file_is_complete_after_a_resume(make_model, loader, tmp_path):
    path = tmp_path / "training.csv"
    more = {"checkpoint_dir": tmp_path / "checkpoints", "callbacks": [CsvLogger(path)]}
    fit(make_model(), loader, epochs=1, **more)
    path.unlink()
    fit(make_model(), loader, epochs=2, validate=lambda: {"auc": 0.5}, resume=True, **more)
    assert [(row["epoch"], row["auc"]) for row in rows(path)] == [("1", ""), ("2", "0.5")]


def test_tensorboard_shows_steps_and_epochs(make_model, loader, tmp_path):
    pytest.importorskip("tensorboard", reason="pip install 'shortlist[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = fit(
        make_model(), loader, epochs=2, validate=lambda: {"auc": 0.5},
        callbacks=[TensorBoardLogger(tmp_path, every=4)],
    )  # fmt: skip
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("step/loss")] == [4, 8, 12]
    assert [event.value for event in events.Scalars("epoch/auc")] == [0.5, 0.5]
    losses = [event.value for event in events.Scalars("epoch/loss")]
    assert losses == pytest.approx([row["loss"] for row in history.epochs])


def test_without_tensorboard_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'shortlist\[tensorboard\]'"):
        TensorBoardLogger(tmp_path)


class Slow(Callback):
    def __init__(self, seconds):
        self.seconds = seconds

    def on_step_end(self, state):
        time.sleep(self.seconds)


def test_a_training_of_over_a_second_shows_its_progress(make_model, loader):
    from rich.console import Console

    screen = io.StringIO()
    bar = ProgressBar(Console(file=screen, force_terminal=True, width=100))
    fit(make_model(), loader, epochs=1, callbacks=[Slow(0.25), bar])
    assert "epoch 1 of 1, loss " in screen.getvalue()
    assert "6/6" in screen.getvalue()


def test_a_short_training_shows_nothing(make_model, loader, capsys):
    fit(make_model(), loader, epochs=1, progress=True)
    assert capsys.readouterr() == ("", "")


def test_the_progress_goes_to_standard_error(make_model, loader, capsys):
    fit(make_model(), loader, epochs=1, progress=True, callbacks=[Slow(0.2)])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 1 of 1" in shown.err
