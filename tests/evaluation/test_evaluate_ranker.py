"""What a ranker says of held-out labels, against the metrics worked out by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest
import torch
from planted import parts

from shortlist.calibration import Platt, reliability
from shortlist.data import Category, Dataset, EventType, Id, Number, Schema
from shortlist.errors import ConfigError
from shortlist.evaluation import evaluate_ranker
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Popular
from shortlist.metrics import auc
from shortlist.models import Objectives, Ranker, predict_objectives, score_events


def halves(schema: Schema, **columns: pl.Expr) -> tuple[Dataset, Dataset]:
    """The planted shop with more columns, divided at random."""
    train, _ = parts()
    data = Dataset(
        train.interactions.with_columns(**columns),
        schema,
        users=train.users,
        items=train.items,
        name="planted",
    )
    return data.split_random(0.3, seed=1)


CHEAP = (pl.col("rating") >= 3).cast(pl.Float32)


def clicks() -> tuple[Ranker, Dataset, Dataset]:
    train, test = halves(Schema(timestamp="time", label="click"), click=CHEAP)
    ranker = Ranker([Category("device")], [Id("item_id"), Number("price")], loss="click", hidden=(8,))
    ranker.fit(train, epochs=3, batch_size=64)
    return ranker, train, test


def funnel(ranker: Ranker, train: Dataset, calibration: Platt | None = None) -> Funnel:
    return Funnel(retrieve=[Popular(20)], rank=rank.Scored(ranker, calibration=calibration), data=train)


def test_clicks_are_judged_by_their_order_their_likelihood_and_their_truth():
    ranker, train, test = clicks()
    found = evaluate_ranker(funnel(ranker, train), test)
    scores, labels = score_events(ranker, test), torch.from_numpy(test.labels)
    chances, mean = torch.sigmoid(scores.double()), float(train.labels.mean())
    expected = {
        "events": len(test),
        "auc": auc(scores, labels),
        "log_loss": float(-torch.where(labels > 0, chances, 1 - chances).log().mean()),
        "mean_log_loss": float(-torch.where(labels > 0, mean, 1 - mean).log().mean()),
        "calibration_error": reliability(chances, labels).expected_error,
    }
    assert list(found) == ["click"]
    assert found["click"] == pytest.approx(expected, rel=1e-4)


def test_a_calibration_changes_the_chances_and_not_the_order():
    ranker, train, test = clicks()
    labels = torch.from_numpy(test.labels)
    mended = Platt().fit(score_events(ranker, test) * 1.0, labels)
    raw, better = (evaluate_ranker(funnel(ranker, train, each), test)["click"] for each in (None, mended))
    assert better["auc"] == raw["auc"]
    assert better["log_loss"] <= raw["log_loss"]
    chances = mended(score_events(ranker, test))
    assert better["calibration_error"] == pytest.approx(reliability(chances, labels).expected_error)


def test_ratings_are_judged_by_their_error_beside_that_of_the_mean():
    train, test = parts()
    ranker = Ranker([Category("device")], [Id("item_id")], loss="rating", hidden=(8,))
    ranker.fit(train, epochs=2, batch_size=64)
    found = evaluate_ranker(funnel(ranker, train), test)["rating"]
    truth = torch.from_numpy(test.labels)
    assert found == pytest.approx(
        {
            "events": len(test),
            "rmse": float((score_events(ranker, test) - truth).square().mean().sqrt()),
            "mean_rmse": float((float(train.labels.mean()) - truth).square().mean().sqrt()),
        },
        rel=1e-5,
    )


def test_every_objective_is_judged_on_the_events_that_have_its_label():
    some = pl.when(pl.int_range(pl.len()) % 3 > 0).then(CHEAP)
    train, test = halves(Schema(timestamp="time"), like=some, stars=pl.col("rating"))
    objectives = Objectives({"like": "click", "stars": "rating"}, sharing="shared_bottom")
    ranker = Ranker([], [Id("item_id")], hidden=(8,), objectives=objectives)
    ranker.fit(train, epochs=2, batch_size=64)
    found = evaluate_ranker(funnel(ranker, train), test)
    known = test.interactions["like"].is_not_null().to_torch()
    likes = predict_objectives(ranker, test)["like"][known]
    labels = torch.from_numpy(test.interactions["like"].drop_nulls().to_numpy(writable=True))
    assert list(found) == ["like", "stars"]
    assert found["like"]["events"] == int(known.sum())
    assert found["like"]["auc"] == pytest.approx(auc(likes, labels))
    assert found["stars"]["rmse"] > 0


def test_an_objective_without_labels_in_the_test_part_is_left_out():
    train, test = halves(Schema(timestamp="time"), like=CHEAP, stars=pl.col("rating"))
    ranker = Ranker([], [Id("item_id")], objectives=Objectives({"like": "click", "stars": "rating"}))
    ranker.fit(train, epochs=1)
    made = funnel(ranker, train)
    for events in (test.interactions.with_columns(like=pl.lit(None)), test.interactions.drop("like")):
        part = Dataset(events, test.schema, users=test.users, items=test.items, past=train)
        assert list(evaluate_ranker(made, part)) == ["stars"]


def test_candidates_that_are_calibrated_are_compared_with_what_was_wanted():
    train, test = parts()
    earlier, recent = train.split_leave_last_out(count=2)
    ranker = Ranker(scores=["score_popular"], hidden=(8,))
    rank.fit(ranker, [Popular(20)], recent, epochs=2)
    lists = rank.ranking_lists([Popular(20)], recent, every=True)
    mended = Platt().fit(ranker.score_candidates(lists.requests, lists.candidates), lists.labels)
    found = evaluate_ranker(funnel(ranker, train, mended), test)["wanted"]
    assert found["events"] == len(rank.ranking_lists([Popular(20)], test, every=True).labels)
    assert found["calibration_error"] < 0.05
    assert found["auc"] > 0.4
    assert "mean_log_loss" not in found
    assert earlier.past is None


def test_an_order_alone_is_judged_by_lists_and_not_here():
    train, test = parts()
    _, recent = train.split_leave_last_out(count=2)
    ranker = Ranker(scores=["score_popular"], hidden=(8,))
    rank.fit(ranker, [Popular(20)], recent, epochs=1)
    assert evaluate_ranker(funnel(ranker, train), test) == {}
    assert evaluate_ranker(Funnel(retrieve=[Popular(20)], data=train), test) == {}


def test_events_of_types_that_are_no_labels_do_not_count():
    kinds = pl.Series("kind", ["buy", "view", "hide"] * 1000)
    events = {"buy": EventType(), "view": EventType(label=False), "hide": EventType(negative=True)}
    schema = Schema(timestamp="time", event="kind", events=events)
    train, test = halves(schema, kind=kinds.head(len(parts()[0])))
    ranker = Ranker([], [Id("item_id")], loss="click", hidden=(8,))
    ranker.fit(train, epochs=1)
    found = evaluate_ranker(funnel(ranker, train), test)
    assert list(found) == ["label"]
    assert found["label"]["events"] == int((test.interactions["kind"] != "view").sum())


def test_one_class_alone_has_no_area_under_the_curve():
    ranker, train, test = clicks()
    events = test.interactions.with_columns(click=pl.lit(1.0))
    part = Dataset(events, test.schema, users=test.users, items=test.items, past=train)
    assert math.isnan(evaluate_ranker(funnel(ranker, train), part)["click"]["auc"])


def test_a_test_part_of_other_data_is_refused():
    ranker, train, _ = clicks()
    other = Dataset(
        pl.DataFrame({"user_id": ["x"], "item_id": ["y"], "time": [1], "click": [1.0]}), train.schema
    )
    with pytest.raises(ConfigError, match="this Funnel"):
        evaluate_ranker(funnel(ranker, train), other)
