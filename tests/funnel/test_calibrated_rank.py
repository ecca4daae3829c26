"""A ranker whose scores are probabilities: in the funnel, in its explanation and in its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from funnel_cases import plain, trained_ranker
from planted import parts, trained_towers
from test_bundle import assert_same_answers, reseal

from shortlist.calibration import Calibrator, Isotonic, Platt, Spline
from shortlist.errors import BundleError, NotFittedError
from shortlist.funnel import Funnel, rank
from shortlist.funnel.rank import ranking_lists
from shortlist.funnel.retrieve import Nearest
from shortlist.models import EASE


def calibrated(calibrator: Calibrator) -> Calibrator:
    """On lists of events that neither the retriever nor the ranker's training held."""
    train, test = parts()
    lists = ranking_lists([Nearest(EASE(l2=20).fit(train), 30, "ease")], test)
    scores = trained_ranker().bound_to(train).score_candidates(lists.requests, lists.candidates)
    return calibrator.fit(scores, lists.labels)


def final(funnel: Funnel):
    requests = funnel.data.requests_of(torch.arange(1, 30))
    return funnel.run(requests).final


@pytest.mark.parametrize("kind", [Platt, Isotonic, Spline])
def test_the_order_is_the_rankers_and_the_scores_are_probabilities(kind):
    raw = final(plain(rank=rank.Scored(trained_ranker())))
    mended = final(plain(rank=rank.Scored(trained_ranker(), calibration=calibrated(kind()))))
    assert torch.equal(raw.items.values, mended.items.values)
    assert torch.equal(raw.scores, mended.features["score_ranker"])
    assert bool(((mended.scores >= 0) & (mended.scores <= 1)).all())
    assert mended.scores.dtype == torch.float32
    # One item in a list of thirty is wanted, and the first are likelier than the rest.
    assert 1 / 30 < float(mended.scores.mean()) < 0.5


def test_explain_shows_what_the_ranker_said_beside_the_probability():
    funnel = plain(rank=rank.Scored(trained_ranker(), calibration=calibrated(Platt())))
    frame = funnel.explain("u003").stages["rank"]
    logits = torch.tensor(frame["score_ranker"].to_list())
    assert funnel.rank is not None
    assert funnel.rank.calibration is not None
    expected = funnel.rank.calibration(logits)
    torch.testing.assert_close(torch.tensor(frame["score"].to_list()), expected)


def test_new_items_leave_the_calibration_in_its_place():
    towers = Nearest(trained_towers(), 20, "ease")  # which has embeddings for what is new
    funnel = plain(retrieve=[towers], rank=rank.Scored(trained_ranker(), calibration=calibrated(Platt())))
    assert funnel.rank is not None
    grown = funnel.with_items(pl.DataFrame({"item_id": ["i050"], "group": ["red"]}))
    assert grown.rank is not None
    assert grown.rank.calibration is funnel.rank.calibration


def test_a_calibrator_that_has_seen_nothing_is_refused():
    with pytest.raises(NotFittedError, match="calibration Platt has seen no labels"):
        rank.Scored(trained_ranker(), calibration=Platt())


@pytest.mark.parametrize("kind", [Platt, Isotonic, Spline])
def test_a_bundle_keeps_the_calibration(kind, tmp_path: Path):
    funnel = plain(rank=rank.Scored(trained_ranker(), keep=9, calibration=calibrated(kind())))
    funnel.save(tmp_path / "bundle")
    loaded = Funnel.load(tmp_path / "bundle")
    assert loaded.rank is not None
    assert type(loaded.rank.calibration) is kind
    assert_same_answers(funnel, loaded)


@pytest.mark.parametrize("file", ["ranker/weights.safetensors", "../calibration.safetensors", 5])
def test_a_bundle_whose_calibration_is_something_else_is_refused(file, tmp_path: Path):
    plain(rank=rank.Scored(trained_ranker(), calibration=calibrated(Platt()))).save(tmp_path / "bundle")
    path = tmp_path / "bundle" / "funnel.json"
    described = json.loads(path.read_text())
    described["rank"]["calibration"] = file
    path.write_text(json.dumps(described))
    reseal(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"calibrator|calibration"):
        Funnel.load(tmp_path / "bundle")
