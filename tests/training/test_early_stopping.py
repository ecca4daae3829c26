from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.errors import ConfigError
from shortlist.training import Callback, EarlyStopping, fit, infer_mode


@pytest.mark.parametrize("name", ["loss", "log_loss", "logloss", "rmse", "RMSE", "test/mae", "rating_error"])
def test_losses_and_errors_are_better_when_lower(name):
    assert infer_mode(name) == "min"


@pytest.mark.parametrize("name", ["ndcg@10", "recall@100", "auc", "coverage", "lossless", "hit_rate"])
def test_other_metrics_are_better_when_higher(name):
    assert infer_mode(name) == "max"


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 4), st.sampled_from(["min", "max"])
)
def test_the_best_epoch_is_the_first_with_the_best_value(values, patience, mode):
    stopping = EarlyStopping("metric", patience=patience, mode=mode)
    seen: list[int] = []
    for epoch, value in enumerate(values, start=1):
        seen.append(value)
        stopping.update({"epoch": epoch, "metric": value})
        best = min(seen) if mode == "min" else max(seen)
        first = seen.index(best) + 1
        assert (stopping.best, stopping.best_epoch) == (best, first)
        assert stopping.is_exhausted == (epoch - first >= patience)


def test_a_metric_that_is_not_a_number_is_never_the_best():
    stopping = EarlyStopping("auc", patience=2)
    assert not stopping.update({"epoch": 1, "auc": math.nan})
    assert stopping.update({"epoch": 2, "auc": 0.1})
    assert not stopping.update({"epoch": 3, "auc": math.nan})


@pytest.mark.parametrize("arguments", [{"patience": 0}, {"mode": "lowest"}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        EarlyStopping("auc", **arguments)


def test_training_stops_when_patience_runs_out_and_ends_with_the_best_weights(
    make_model, loader, same_weights
):
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    model, until_best = make_model(), make_model()
    history = fit(model, loader, epochs=9, validate=lambda: {"auc": next(scores)}, monitor="auc", patience=2)
    assert [row["auc"] for row in history.epochs] == [0.1, 0.5, 0.4, 0.3]
    assert history.best_epoch == 2
    fit(until_best, loader, epochs=2)
    same_weights(model, until_best)


def test_the_last_weights_stay_when_the_best_are_not_wanted(make_model, loader, same_weights):
    scores = iter([0.5, 0.4, 0.3])
    model, to_the_end = make_model(), make_model()
    fit(model, loader, epochs=3, validate=lambda: {"auc": next(scores)}, monitor="auc", restore_best=False)
    fit(to_the_end, loader, epochs=3)
    same_weights(model, to_the_end)


PLATEAU = {"epochs": 6, "learning_rate": 0.1, "schedule": "plateau", "monitor": "auc"}


def test_the_learning_rate_falls_to_a_tenth_after_each_epoch_that_is_none_better(make_model, loader):
    scores = iter([0.1, 0.5, 0.5, 0.6, 0.2, 0.7])
    history = fit(make_model(), loader, validate=lambda: {"auc": next(scores)}, **PLATEAU)
    rates = [row["learning_rate"] for row in history.epochs]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_a_plateau_that_is_resumed_goes_on_to_the_identical_weights(
    make_model, loader, tmp_path, same_weights
):
    class Stop(Callback):
        def on_step_end(self, state):
            state.stop = state.step == 21  # in the fourth epoch, after one that was none better

    def train(model, scores, **more):
        remaining = iter(scores)
        return fit(model, loader, validate=lambda: {"auc": next(remaining)}, **PLATEAU, **more)

    scores = [0.1, 0.5, 0.4, 0.6, 0.5, 0.7]
    expected, resumed = make_model(), make_model(seed=3)
    train(expected, scores)
    train(make_model(), scores[:3], checkpoint_dir=tmp_path, callbacks=[Stop()])
    train(resumed, scores[3:], checkpoint_dir=tmp_path, resume=True)
    same_weights(resumed, expected)


def test_the_mode_can_be_overridden(make_model, loader):
    scores = iter([0.5, 0.4, 0.6])
    history = fit(
        make_model(), loader, epochs=3, validate=lambda: {"bias": next(scores)}, monitor="bias", mode="min"
    )
    assert history.best_epoch == 2


def test_a_stopped_training_that_is_resumed_stays_stopped(make_model, loader, tmp_path, same_weights):
    def train(scores, **more):
        model = make_model()
        remaining = iter(scores)
        history = fit(
            model, loader, epochs=9, validate=lambda: {"auc": next(remaining)}, monitor="auc", patience=2,
            checkpoint_dir=tmp_path, **more,
        )  # fmt: skip
        return model, history

    model, history = train([0.5, 0.4, 0.3])
    again, same = train([], resume=True)
    assert same == history
    same_weights(again, model)


def test_a_misspelt_monitor_is_answered_with_the_right_one(make_model, loader):
    with pytest.raises(ConfigError, match=r"monitor 'recal@10' .* did you mean 'recall@10'"):
        fit(make_model(), loader, epochs=1, validate=lambda: {"recall@10": 0.1}, monitor="recal@10")
