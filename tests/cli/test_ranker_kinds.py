"""`shortlist train` and `evaluate` with each kind of ranker, on films that people rated."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from cli.cli_cases import shortlist

import shortlist as sl

USERS = 40  # of the 943 in MovieLens-100K
HEAD = """\
[data]
interactions = "events.parquet"
items = "films.parquet"
timestamp = "timestamp"
{label}
[split]
by = "random"
test = 0.2
[[funnel.retrieve]]
kind = "EASE"
k = 50
[[funnel.retrieve]]
kind = "Popular"
k = 50
[ranker]
"""
IDS = """\
query = [{ kind = "Id", column = "user_id" }]
candidate = [{ kind = "Id", column = "item_id" }, { kind = "Tags", column = "genres" }]
"""
NOTHING = "query = []\ncandidate = []\n"  # but the retrievers' scores
KINDS = {
    "objectives": f"{IDS}epochs = 4\nbatch_size = 256\nhidden = [16]\n[ranker.objectives]\n"
    'losses = { liked = "click", stars = "rating" }\nsharing = "ple"\nexperts = 1\nbalance = "uncertainty"\n'
    "score = { stars = 0.2 }\n",
    "clicks": f'{IDS}loss = "click"\nepochs = 4\nbatch_size = 256\nembedding_scale = 0.01\n'
    '[ranker.body]\nkind = "FinalMLP"\nhidden_query = [16]\nhidden_candidate = [16]\n'
    '[funnel]\ncalibration = "Platt"\n',
    "ratings": f'{IDS}loss = "rating"\nepochs = 4\nbatch_size = 256\n'
    '[ranker.body]\nkind = "DeepFM"\nhidden = [16]\n',
    "trees": f'{NOTHING}kind = "BoostedRanker"\nloss = "xe_ndcg"\ntrees = 40\nnum_leaves = 7\n'
    '[funnel]\ncalibration = "Spline"\n',
    "lists": f'{NOTHING}loss = "lambdaloss"\nepochs = 8\nbatch_size = 16\n'
    '[funnel]\ncalibration = "Isotonic"\n',
}
LABELS = {"clicks": "liked", "ratings": "stars"}
JUDGED = {
    "objectives": {"liked": "auc", "stars": "rmse"},
    "clicks": {"liked": "auc"},
    "ratings": {"stars": "rmse"},
    "trees": {"wanted": "auc"},
    "lists": {"wanted": "auc"},
}


@pytest.fixture(scope="module")
def films(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    data = sl.datasets.movielens("100k", folder=data_dir)
    events = data.interactions.filter(pl.col("user_id") <= USERS)
    stars = pl.col("rating").cast(pl.Float32)
    events = events.drop("rating").with_columns(
        events.select(stars=stars, liked=(stars >= 4).cast(pl.Float32))
    )
    events.write_parquet(folder / "events.parquet")
    assert data.items is not None
    data.items.write_parquet(folder / "films.parquet")
    return folder


@pytest.mark.filterwarnings("ignore::shortlist.models.LosesToPopularity")
@pytest.mark.parametrize("kind", KINDS)
def test_a_ranker_of_each_kind_is_trained_and_measured(films, kind):
    label = f'label = "{LABELS[kind]}"' if kind in LABELS else ""
    file = films / f"{kind}.toml"
    file.write_text(HEAD.format(label=label) + KINDS[kind] + f'[bundle]\npath = "{kind}"\n', encoding="utf-8")
    train = shortlist("train", "--config", file, "--json")
    assert train.code == 0, train.err
    found = train.document["ranker"]
    assert {label: next(key for key in each if key in ("auc", "rmse")) for label, each in found.items()} == (
        JUDGED[kind]
    )
    for each in found.values():
        if "auc" in each:
            assert each["auc"] > 0.55
            assert each["calibration_error"] < 0.2
        if "rmse" in each:
            assert each["rmse"] < each["mean_rmse"]
    # What a bundle keeps answers as what was trained, and is in its manifest.
    evaluate = shortlist("evaluate", "--config", file, "--json")
    assert evaluate.code == 0, evaluate.err
    assert evaluate.document["ranker"] == found
    assert evaluate.document["figures"] == train.document["figures"]
    manifest = json.loads((films / kind / "manifest.json").read_text())
    for name, each in found.items():
        assert all(manifest["metrics"][f"the ranker/{name}/{key}"] == value for key, value in each.items())


def test_a_ranker_that_predicts_worse_than_the_mean_says_so(films):
    file = films / "poor.toml"
    text = HEAD.format(label='label = "stars"') + IDS + 'loss = "rating"\nepochs = 1\nlearning_rate = 3.0\n'
    file.write_text(text + '[bundle]\npath = "poor"\n', encoding="utf-8")
    answer = shortlist("train", "--config", file, "--json")
    assert any("predicts 'stars' worse than its mean" in warning for warning in answer.document["warnings"])
    shown = shortlist("evaluate", "--config", file).out
    assert "The ranker's predictions of labels" in shown
    assert "RMSE of the mean" in shown


def test_an_order_alone_shows_no_predictions(trained):
    answer = shortlist("evaluate", "--config", trained / "shortlist.toml")
    assert "predictions of labels" not in answer.out
