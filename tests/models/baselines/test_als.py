from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from baseline_cases import asking, checkerboard, hit_rate, movielens_last_out, ndcg, places
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import baselines as slow

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.schema import EventType, Schema
from shortlist.errors import ConfigError
from shortlist.models.baselines.als import ALS
from shortlist.models.baselines.interactions import training_matrix
from shortlist.models.baselines.least_squares import solve_factors


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 20),
    columns=st.integers(1, 30),
    dim=st.integers(1, 9),
    l2=st.floats(0.1, 50),
    density=st.sampled_from([0.05, 0.3, 1.0]),
)
def test_a_half_step_equals_the_slow_reference(seed, rows, columns, dim, l2, density):
    generator = np.random.default_rng(seed)
    weights = generator.uniform(0.1, 20, (rows, columns)) * (generator.random((rows, columns)) < density)
    factors = generator.normal(size=(columns, dim))
    lists = Ragged.from_lists([np.flatnonzero(row).tolist() for row in weights])
    solved = solve_factors(
        lists,
        torch.tensor(weights[weights > 0], dtype=torch.float32),
        torch.tensor(factors, dtype=torch.float32),
        l2=l2,
    )
    expected = slow.least_squares(weights, factors, l2)
    np.testing.assert_allclose(solved.numpy(), expected, rtol=2e-3, atol=2e-4)


def loss_after(iterations: int, data: Dataset) -> float:
    model = ALS(factors=4, iterations=iterations, l2=0.5, alpha=2).fit(data)
    weights = training_matrix(data).toarray() * 2
    items = model.item_factors.double().numpy()
    users = slow.least_squares(weights, items, 0.5)
    return slow.als_loss(weights, users, items, 0.5)


def test_every_iteration_lowers_the_loss():
    losses = [loss_after(iterations, checkerboard()) for iterations in (1, 2, 4, 8)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]


def test_a_users_factors_are_solved_from_the_history_alone():
    data = checkerboard()
    model = ALS(factors=4).fit(data)
    users = torch.arange(1, 4)
    known = data.requests_of(users)
    torch.testing.assert_close(
        model.embed_queries(known), model.embed_queries(asking(*known.history.to_lists()))
    )


def test_scores_are_dot_products_of_the_factors():
    model = ALS(factors=4).fit(checkerboard())
    requests, items = asking([1, 2], [3]), torch.tensor([[5, 6, 7], [8, 1, 2]])
    expected = torch.einsum("bd,bnd->bn", model.embed_queries(requests), model.item_factors[items])
    torch.testing.assert_close(model.score(requests, items), expected)


def test_the_weights_of_a_users_events_with_an_item_add_up():
    table = pl.DataFrame({"user_id": [1, 1, 1, 2], "item_id": [7, 7, 8, 8], "type": ["a", "b", "a", "c"]})
    kinds = {"a": EventType(1.0), "b": EventType(5.0), "c": EventType(9.0, negative=True)}
    data = Dataset(table, Schema(event="type", events=kinds))
    user, seven, eight = data.user_vocabulary.index_of(1), *data.item_vocabulary.encode([7, 8]).tolist()
    matrix = training_matrix(data).toarray()
    assert matrix[user, [seven, eight]].tolist() == [6, 1]
    assert matrix.sum() == 7


def test_items_without_events_have_no_factors():
    data = checkerboard()
    table = data.interactions.filter(pl.col("item_id") != 5)
    without = Dataset(table, data.schema, items=data.items)
    index = without.item_vocabulary.index_of(5)
    assert not ALS(factors=4).fit(without).item_factors[[0, index]].any()


@pytest.mark.parametrize(
    "argument", [{"factors": 0}, {"iterations": 0}, {"l2": 0.0}, {"alpha": -1.0}, {"alpha": float("nan")}]
)
def test_an_argument_out_of_range_is_refused(argument):
    with pytest.raises(ConfigError, match=next(iter(argument))):
        ALS(**argument)


def test_it_is_as_good_as_ease_on_movielens_100k(data_dir):
    train, test = movielens_last_out(data_dir / "ml-100k")
    found = places(ALS(factors=32).fit(train), train, test)
    assert hit_rate(found, 100) > 0.54
    assert ndcg(found, 10) > 0.068
