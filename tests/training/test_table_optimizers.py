"""Optimizers that step the rows of a batch: each instruction set against the rule written down in doubles."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import shortlist as sl
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.kernels.tables import Rule, update_rows
from shortlist.nn import Embedding
from shortlist.nn.encoders import HistoryEncoder
from shortlist.training import Adagrad, LazyAdam, RowwiseAdagrad

ROWS = 5000
MAKERS = {"adagrad": Adagrad, "rowwise_adagrad": RowwiseAdagrad, "adam": LazyAdam}


def slow_step(
    kind: str, weight: Tensor, state: list[Tensor], gradient: Tensor, touched: Tensor, step: int
) -> None:
    """One step in doubles, in place, of the rows that are touched."""
    rate, eps = 0.3, 1e-4
    rows, some = touched.nonzero()[:, 0], gradient[touched]
    if kind == "sgd":
        weight[rows] -= rate * some
    elif kind == "adam":
        state[0][rows] = 0.9 * state[0][rows] + 0.1 * some
        state[1][rows] = 0.99 * state[1][rows] + 0.01 * some**2
        mean, square = state[0][rows] / (1 - 0.9**step), state[1][rows] / (1 - 0.99**step)
        weight[rows] -= rate * mean / (square.sqrt() + eps)
    else:
        square = some**2 if kind == "adagrad" else (some**2).mean(1, keepdim=True)
        state[0][rows] += square
        weight[rows] -= rate * some / (state[0][rows] + eps).sqrt()


def empty_state(kind: str, weight: Tensor) -> list[Tensor]:
    shapes = {"sgd": [], "adagrad": [weight.shape], "rowwise_adagrad": [(len(weight), 1)]}
    return [torch.full(shape, 0.1) for shape in shapes.get(kind, [])] or (
        [torch.zeros_like(weight), torch.zeros_like(weight)] if kind == "adam" else []
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["sgd", "adagrad", "rowwise_adagrad", "adam"]),
    dim=st.sampled_from([1, 3, 8, 17, 64, 65]),
    count=st.sampled_from([0, 1, 7, 300, 4000]),
    span=st.sampled_from([1, 5, 100, ROWS]),
    seed=st.integers(0, 2**20),
)
def test_steps_are_those_of_the_rule_in_doubles(
    instructions: str, kind: Any, dim: int, count: int, span: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(ROWS, dim, generator=random)
    state = empty_state(kind, weight)
    slow_weight, slow_state = weight.double(), [each.double() for each in state]
    for step in (1, 2, 3):
        ids = torch.randint(0, span, (count,), generator=random)
        gradients = torch.randn(count, dim, generator=random)
        rule = Rule(kind, 0.3, 1e-4, (0.9, 0.99), step)
        update_rows(weight, tuple(state), ids, gradients, rule, threads=1 + seed % 3)
        summed = torch.zeros(ROWS, dim, dtype=torch.float64).index_add_(0, ids, gradients.double())
        touched = torch.bincount(ids, minlength=ROWS) > 0
        before = slow_weight.clone()
        slow_step(kind, slow_weight, slow_state, summed, touched, step)
        assert torch.equal(slow_weight[~touched], before[~touched])
    torch.testing.assert_close(weight.double(), slow_weight, rtol=1e-4, atol=1e-4)
    for one, other in zip(state, slow_state, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)


def test_any_number_of_threads_gives_the_same_bits(instructions: str) -> None:
    random = torch.Generator().manual_seed(1)
    start = torch.randn(ROWS, 64, generator=random)
    ids = torch.randint(0, 700, (20_000,), generator=random)
    gradients = torch.randn(20_000, 64, generator=random)
    results = []
    for threads in (1, 2, 5):
        weight, accumulator = start.clone(), torch.full((ROWS, 64), 0.1)
        update_rows(weight, (accumulator,), ids, gradients, Rule("adagrad", 0.1, 1e-7), threads=threads)
        results.append((weight, accumulator))
    for weight, accumulator in results[1:]:
        assert torch.equal(weight, results[0][0])
        assert torch.equal(accumulator, results[0][1])
    assert torch.equal(results[0][0][700:], start[700:])


@pytest.mark.parametrize("bad", [-1, ROWS, 2**40])
def test_a_row_that_is_not_there_is_refused_and_nothing_is_written(bad: int) -> None:
    weight = torch.ones(ROWS, 4)
    ids = torch.tensor([1, bad])
    with pytest.raises(ValueError, match="an id is no row of the table"):
        update_rows(weight, (), ids, torch.ones(2, 4), Rule("sgd", 0.1))
    assert (weight == 1).all()


@pytest.mark.parametrize("kind", MAKERS)
def test_sparse_and_dense_gradients_make_the_same_steps_where_rows_are_touched(kind: str) -> None:
    tables = [Embedding(60, 12, sparse=sparse) for sparse in (True, False)]
    tables[1].load_state_dict(tables[0].state_dict())
    start = tables[0].weight.detach().clone()
    optimizers = [MAKERS[kind](table.parameters(), lr=0.1) for table in tables]
    rows = torch.tensor([3, 7, 3, 0, 59, 7, 3])
    for step in range(3):
        target = torch.randn(len(rows), 12, generator=torch.Generator().manual_seed(step))
        for table, optimizer in zip(tables, optimizers, strict=True):
            optimizer.zero_grad()
            (table(rows) - target).square().sum().backward()
            assert table.weight.grad.is_sparse == table.sparse
            optimizer.step()
    sparse, dense = (table.weight.detach() for table in tables)
    torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-5)
    untouched = [row for row in range(60) if row not in rows.tolist()]
    assert torch.equal(sparse[untouched], start[untouched])
    assert not sparse[0].any()


@pytest.mark.parametrize("kind", MAKERS)
def test_the_scores_of_a_historys_items_have_sparse_gradients_and_take_the_same_steps(kind: str) -> None:
    encoders = [HistoryEncoder(60, 4, length=5, attention=True, sparse=sparse) for sparse in (True, False)]
    encoders[1].load_state_dict(encoders[0].state_dict())
    optimizers = [MAKERS[kind](encoder.parameters(), lr=0.1) for encoder in encoders]
    history = Ragged.from_lengths(torch.tensor([3, 7, 3, 0, 59, 7, 3]), torch.tensor([4, 0, 3]))
    for _ in range(3):
        for encoder, optimizer in zip(encoders, optimizers, strict=True):
            optimizer.zero_grad()
            (encoder(history) - 1).square().sum().backward()
            assert encoder.item_score.grad is not None
            assert encoder.item_score.grad.is_sparse == encoder.embedding.sparse
            optimizer.step()
    sparse, dense = (encoder.item_score.detach() for encoder in encoders)
    torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-5)
    assert sparse.nonzero().flatten().tolist() == [3, 7, 59]


def test_gradients_of_bags_are_sparse_too() -> None:
    data = sl.datasets.synthetic(users=60, items=120, events=1400, seed=1)
    weights = []
    for sparse in (True, False):
        model = sl.TwoTower(
            query=sl.Tower(
                [sl.History("item_id", pooling="attention"), sl.Id("user_id")], dim=8, sparse=sparse
            ),
            candidate=sl.Tower([sl.Id("item_id"), sl.Text("title")], dim=8, sparse=sparse),
        )
        model.fit(data, epochs=2, optimizer=Adagrad, learning_rate=0.1, seed=0)
        weights.append([each.detach() for each in model.parameters()])
        assert sl.Tower.from_config(model.query.config()).sparse == sparse
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_tables_with_sparse_gradients_train_without_an_optimizer_of_ones_own_and_resume_alike(
    tmp_path: Path,
) -> None:
    data = sl.datasets.synthetic(users=60, items=120, events=1400, seed=1)

    def trained(epochs: int, **options: Any) -> list[Tensor]:
        tower = partial(sl.Tower, dim=8, sparse=True)
        model = sl.TwoTower(tower([sl.Id("user_id")]), tower([sl.Id("item_id")]))
        history = model.fit(data, epochs=epochs, seed=0, **options)
        assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
        return [each.detach() for each in model.parameters()]

    straight = trained(4)
    trained(2, checkpoint_dir=tmp_path / "checkpoints")
    resumed = trained(4, checkpoint_dir=tmp_path / "checkpoints", resume=True)
    for one, other in zip(straight, resumed, strict=True):
        assert torch.equal(one, other)


def test_numbers_out_of_range_are_refused() -> None:
    weight = [torch.nn.Parameter(torch.ones(2, 2))]
    for make, options, message in [
        (RowwiseAdagrad, {"lr": 0}, "lr is 0"),
        (RowwiseAdagrad, {"eps": -1}, "eps is -1"),
        (RowwiseAdagrad, {"initial_accumulator_value": -1}, "initial_accumulator_value is -1"),
        (LazyAdam, {"lr": float("inf")}, "lr is inf"),
        (LazyAdam, {"betas": (0.9, 1.0)}, "betas are"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make(weight, **options)


def test_a_step_of_a_table_without_rows_does_nothing():
    nobody = torch.zeros(0, dtype=torch.int64)
    update_rows(torch.zeros(0, 4), (), nobody, torch.zeros(0, 4), Rule("sgd", 0.1))
