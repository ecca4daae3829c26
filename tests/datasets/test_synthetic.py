"""The made-up catalogue: the same for a seed, and with something to learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.datasets import synthetic
from shortlist.errors import ConfigError


@pytest.fixture(scope="module")
def data():
    return synthetic(users=300, items=400, events=20_000, seed=1)


def test_the_sizes_are_those_asked_for(data):
    assert (len(data), len(data.users), len(data.items)) == (20_000, 300, 400)
    assert len(data.user_vocabulary) == 301


def test_a_seed_decides_everything(data):
    again = synthetic(users=300, items=400, events=20_000, seed=1)
    other = synthetic(users=300, items=400, events=20_000, seed=2)
    for name in ("interactions", "users", "items"):
        assert getattr(again, name).equals(getattr(data, name))
        assert not getattr(other, name).equals(getattr(data, name))


def test_nobody_sees_an_item_twice_and_time_goes_on(data):
    assert data.interactions.select("user_id", "item_id").is_unique().all()
    assert data.interactions["timestamp"].is_sorted()
    assert data.interactions["rating"].is_between(1, 5).all()


def test_popularity_drifts(data):
    early, late = data.item_index[:5000], data.item_index[-5000:]
    tops = [set(np.argsort(-np.bincount(part, minlength=401))[:50]) for part in (early, late)]
    assert len(tops[0] & tops[1]) < 40


def test_titles_tell_the_genre(data):
    words = data.items.with_columns(
        word=pl.col("title").str.split(" ").list.get(1), genre=pl.col("genres").list.first()
    )
    assert words.group_by("word").agg(pl.col("genre").n_unique())["genre"].mean() < 1.1


def test_tastes_can_be_learned_far_better_than_popularity(data):
    train, test = data.split_leave_last_out()
    seen = np.zeros((len(train.user_vocabulary), len(train.item_vocabulary)))
    seen[train.user_index, train.item_index] = 1
    gram = seen.T @ seen + 100 * np.eye(seen.shape[1])
    weights = np.linalg.inv(gram)  # EASE
    weights = -weights / np.diag(weights)
    np.fill_diagonal(weights, 0)
    hit_rates = []
    for scores in (seen @ weights, np.tile(seen.sum(0), (len(seen), 1))):
        scores = np.where(seen > 0, -np.inf, scores)
        mine = scores[test.user_index, test.item_index]
        hit_rates.append(((scores[test.user_index] > mine[:, None]).sum(1) < 20).mean())
    learned, popular = hit_rates
    assert learned > 1.8 * popular


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"users": 0}, "users must be at least 1"),
        ({"items": 10}, "items must be at least 96"),
        ({"events": 0}, "events must be at least 1"),
        ({"users": 10, "items": 100, "events": 1000}, "at most 200"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes, said):
    with pytest.raises(ConfigError, match=said):
        synthetic(**sizes)
