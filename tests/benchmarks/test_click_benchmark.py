"""What `click_models` rests on: parts that share nothing, and arrays that say what our own features say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
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
