"""What `click_models` rests on: parts that share nothing, the same columns and models here and there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.click_models import Areas, best_setting, train_ours
from benchmarks.click_recipes import Protocol, Trial, dcn, final_mlp
from benchmarks.click_sets import FRAPPE, frappe

from shortlist.data.feature_space import FeatureSpace


@pytest.fixture
def clicks(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHORTLIST_DATA", str(data_dir))
    return frappe(rows=5000)


def test_the_parts_are_the_whole_set_once(clicks) -> None:
    parts = clicks.split(0)
    assert [len(part) for part in parts] == [4000, 500, 500]
    rows = sorted(row for part in parts for row in part.interactions.rows())
    assert rows == sorted(clicks.events.rows())
    again = clicks.split(0)[2].interactions
    assert again.equals(parts[2].interactions)
    assert not again.equals(clicks.split(1)[2].interactions)


def test_the_peers_read_the_indices_of_our_features_and_0_for_what_is_new(clicks) -> None:
    train, _, test = clicks.split(0)
    space = FeatureSpace.fit(train, clicks.query, clicks.candidate)
    arrays, described = clicks.arrays(space, test), clicks.described(space)
    assert set(arrays) == {*FRAPPE, "label"}
    assert set(described) == set(FRAPPE)
    seen = set(train.interactions["item_id"].to_list())
    known = np.array([item in seen for item in test.interactions["item_id"].to_list()])
    assert ((arrays["item_id"] > 0) == known).all()
    assert not known.all()
    for name in FRAPPE:
        assert arrays[name].max() < described[name]["size"]
    assert set(np.unique(arrays["label"])) == {0.0, 1.0}


def test_a_model_has_the_same_widths_and_dropout_here_and_there() -> None:
    recipe = dcn((24, 8), 0.3)
    assert (recipe.body.hidden, recipe.body.dropout) == ((24, 8), 0.3)
    assert recipe.settings["parallel_dnn_hidden_units"] == [24, 8]
    assert recipe.settings["num_cross_layers"] == recipe.body.cross_layers
    assert recipe.settings["net_dropout"] == 0.3
    streams = final_mlp(24, 8, heads=4, dropout=0.3)
    assert (streams.body.hidden_query, streams.body.hidden_candidate) == ((24,), (8,))
    assert [streams.settings[f"mlp{number}_hidden_units"] for number in (1, 2)] == [[24], [8]]
    assert streams.settings["fs_hidden_units"] == [streams.body.gates]
    assert streams.settings["num_heads"] == streams.body.heads
    assert streams.settings["mlp2_dropout"] == streams.body.dropout == 0.3


def test_our_model_is_trained_on_the_train_part_and_measured_on_both_others(clicks) -> None:
    recipe, trial = dcn((16,), 0.0), Trial(1e-4, "plateau")
    protocol = Protocol(clicks, 4, 256, 2, 0.01, 0.01, {"dcnv2": recipe}, [trial], [], [], 1)
    areas = [train_ours(protocol, recipe, trial, clicks.split(0), seed=0) for _ in range(2)]
    assert 0.7 < areas[0].validation < 1
    assert 0.7 < areas[0].test < 1
    assert areas[0] == areas[1]


def test_the_mean_of_the_validation_parts_chooses_and_the_test_parts_do_not() -> None:
    one = [Areas(0.90, 0.1), Areas(0.80, 0.9), Areas(0.85, 0.9)]
    other = [Areas(0.60, 0.1), Areas(0.75, 0.9), Areas(0.64, 0.9)]
    assert [best_setting([one]), best_setting([other]), best_setting([one, other])] == [0, 1, 1]
    assert best_setting([one[::2], other[::2]]) == 0
