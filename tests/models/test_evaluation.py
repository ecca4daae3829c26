"""Evaluation against a slow reference, for towers and for models that score."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
import torch
from planted import ITEMS, parts, trained_towers

from shortlist.data import Dataset, EventType, Schema
from shortlist.errors import ConfigError, DataError, NotFittedError
from shortlist.metrics import FactorizedTopK
from shortlist.models import EASE, ItemKNN, LosesToPopularity, Popularity, Recommender, evaluate
from shortlist.models.evaluation import Evaluation


def slow_hit_rate(model: Recommender, k: int, *, exclude_seen: bool) -> float:
    train, test = parts()
    hits = 0.0
    for row in test.targets:
        request = test.requests(torch.tensor([int(row)]))
        scores = model.score(request, torch.arange(1, ITEMS + 1)[None])[0].tolist()
        wanted = int(test.item_index[row])
        own = scores[wanted - 1]
        seen = set(train.seen[int(test.person_index[row])].tolist()) if exclude_seen else set()
        rivals = [score for item, score in enumerate(scores, 1) if item != wanted and item not in seen]
        above, tied = sum(score > own for score in rivals), sum(score == own for score in rivals)
        hits += min(max((k - above) / (tied + 1), 0.0), 1.0)
    return hits / len(test.targets)


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("make", [lambda data: EASE(l2=20).fit(data), lambda data: trained_towers()])
def test_every_event_is_ranked_among_the_whole_catalogue(make, exclude_seen: bool):
    train, test = parts()
    model = make(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LosesToPopularity)
        found = evaluate(model, test, metrics=[FactorizedTopK(ks=(3, 10))], exclude_seen=exclude_seen)
    for k in (3, 10):
        assert found[f"hit_rate@{k}"] == pytest.approx(
            slow_hit_rate(model, k, exclude_seen=exclude_seen), abs=1e-6
        )
        assert found.popularity[f"hit_rate@{k}"] == pytest.approx(
            slow_hit_rate(Popularity().fit(train), k, exclude_seen=exclude_seen), abs=1e-6
        )


def test_small_blocks_of_events_change_nothing(monkeypatch):
    train, test = parts()
    model = ItemKNN().fit(train)
    whole = model.evaluate(test)
    monkeypatch.setattr("shortlist.models.evaluation.BLOCK_SCORES", 1)
    assert model.evaluate(test).metrics == pytest.approx(whole.metrics)


def test_popularity_does_not_lose_to_itself():
    train, test = parts()
    with warnings.catch_warnings():
        warnings.simplefilter("error", LosesToPopularity)
        found = Popularity().fit(train).evaluate(test)
    assert found.metrics == found.popularity


def test_an_evaluation_is_a_mapping_that_prints_popularity_beside():
    found = Evaluation("EASE", {"hit_rate@10": 0.5, "mrr": 0.25}, {"hit_rate@10": 0.125, "mrr": 0.0625}, 1234)
    assert dict(found) == {"hit_rate@10": 0.5, "mrr": 0.25}
    assert len(found) == 2
    heading, first, second = str(found).splitlines()
    assert "EASE" in heading
    assert "popularity" in heading
    assert "1,234 events" in heading
    assert "0.5000" in first
    assert "0.1250" in first
    assert "0.0625" in second


@pytest.mark.parametrize(("ours", "loses"), [((0.1, 0.1, 0.9), True), ((0.1, 0.9, 0.9), False)])
def test_a_model_loses_where_popularity_is_better_in_most_figures(ours, loses: bool):
    figures = dict(zip("abc", ours, strict=True))
    assert Evaluation("x", figures, dict.fromkeys("abc", 0.5), 1).loses_to_popularity is loses


def test_a_metric_that_is_used_twice_starts_anew():
    train, test = parts()
    metric, model = FactorizedTopK(ks=(5,)), EASE().fit(train)
    assert evaluate(model, test, metrics=[metric]).metrics == evaluate(model, test, metrics=[metric]).metrics


def test_a_test_part_of_other_data_is_refused():
    train, test = parts()
    earlier, _ = train.split_leave_last_out(count=2)
    with pytest.raises(ConfigError, match="this EASE was trained on other data"):
        EASE().fit(earlier).evaluate(test)
    with pytest.raises(NotFittedError):
        EASE().evaluate(test)


def test_a_part_without_positive_events_is_refused():
    kinds = {"like": EventType(), "dislike": EventType(negative=True)}
    table = pl.DataFrame({"user_id": [1, 2, 1], "item_id": [1, 2, 2], "kind": ["like", "like", "dislike"]})
    data = Dataset(table, Schema(event="kind", events=kinds))
    train, test = data.split_at(np.array([False, False, True]))
    with pytest.raises(DataError, match="no positive event"):
        Popularity().fit(train).evaluate(test)
