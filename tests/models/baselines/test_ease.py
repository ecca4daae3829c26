from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from baseline_cases import asking, events, hit_rate, movielens_last_out, movielens_tutorial, ndcg, places
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import baselines as slow
from scipy.sparse import csr_array

from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.errors import ConfigError, DataError
from shortlist.models.baselines.ease import EASE, ease_weights


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000), users=st.integers(1, 30), items=st.integers(1, 40), l2=st.floats(0.5, 500)
)
def test_the_weights_equal_the_slow_reference(seed, users, items, l2):
    matrix = (np.random.default_rng(seed).random((users, items)) < 0.3).astype(np.float32)
    expected = slow.ease(matrix.astype(np.float64), l2)
    np.testing.assert_allclose(ease_weights(csr_array(matrix), l2).numpy(), expected, rtol=1e-5, atol=1e-7)


def test_an_item_does_not_predict_itself():
    weights = ease_weights(csr_array(np.eye(4, dtype=np.float32)), 1.0)
    assert torch.equal(weights, torch.zeros(4, 4))


def test_a_score_is_the_sum_of_the_historys_weights():
    data = events([(1, 1), (1, 2), (2, 2), (2, 3), (3, 1), (3, 3), (4, 4), (4, 1)], items=5)
    model = EASE(l2=1).fit(data)
    one, two = data.item_vocabulary.encode([1, 2]).tolist()
    every = torch.arange(1, 6)[None]
    apart = model.score(asking([one]), every) + model.score(asking([two]), every)
    torch.testing.assert_close(model.score(asking([one, two]), every), apart)


def test_an_item_without_events_scores_zero():
    data = events([(1, 1), (1, 2), (2, 2), (2, 1)], items=3)
    unseen = data.item_vocabulary.encode([3]).tolist()
    assert EASE().fit(data).score(asking([1]), torch.tensor([unseen])).item() == 0


@pytest.mark.parametrize("l2", [0, -1, float("nan"), float("inf")])
def test_an_l2_out_of_range_is_refused(l2):
    with pytest.raises(ConfigError, match="l2"):
        EASE(l2=l2)


def test_a_catalogue_too_large_for_memory_is_refused_with_a_remedy():
    items = 1_000_000  # 18 TB
    data = Dataset(
        pl.DataFrame({"user_id": np.zeros(items, np.int64), "item_id": np.arange(items)}), Schema()
    )
    with pytest.raises(DataError, match=r"1,000,000 items.*use ItemKNN or ALS"):
        EASE().fit(data)


def test_the_figures_of_movielens_100k_are_reached(data_dir):
    train, test = movielens_last_out(data_dir / "ml-100k")
    found = places(EASE().fit(train), train, test)
    assert hit_rate(found, 10) == pytest.approx(0.145, abs=0.002)
    assert ndcg(found, 10) == pytest.approx(0.074, abs=0.001)
    assert hit_rate(found, 100) == pytest.approx(0.550, abs=0.002)


def test_the_tutorials_figures_are_reached(data_dir):
    train, test = movielens_tutorial(data_dir / "ml-100k")
    found = places(EASE().fit(train), train, test)
    assert hit_rate(found, 10) == pytest.approx(0.1749, abs=0.001)
    assert hit_rate(found, 100) == pytest.approx(0.6215, abs=0.001)
