"""Rows added up in bags without an array of them: what PyTorch's own bags give, forwards and backwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import shortlist as sl
from shortlist.kernels.bag_gradient import BagGradient, Bags
from shortlist.kernels.tables import Rule, factor_gradients, pool_rows, update_rows
from shortlist.nn.embedding import Embedding, pool_mean, pool_sum
from shortlist.training import Adagrad, LazyAdam, RowwiseAdagrad, clip_gradients

ROWS = 40
bags = st.lists(st.lists(st.integers(0, ROWS - 1), max_size=9), max_size=12)


def tables(dim: int, *, dtype: torch.dtype = torch.float32) -> tuple[Embedding, Embedding]:
    """One with fused bags, and one with PyTorch's own and the same weights."""
    fused, plain = Embedding(ROWS, dim, sparse=True, dtype=dtype), Embedding(ROWS, dim)
    with torch.no_grad():
        plain.weight.copy_(fused.weight)
    return fused, plain


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def gradient(table: Embedding) -> Tensor:
    return (
        torch.zeros(ROWS, table.embedding_dim) if table.weight.grad is None else table.weight.grad.to_dense()
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=bags, dim=st.sampled_from([1, 7, 16, 33]), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_means_and_their_gradients_are_pytorchs(
    instructions: str, rows: list[list[int]], dim: int, dtype: torch.dtype
) -> None:
    ragged = sl.Ragged.from_lists(rows)
    wanted = torch.randn(len(rows), dim)
    pooled = []
    fused, plain = tables(dim, dtype=dtype)
    for table in (fused, plain):
        pooled.append(pool_mean(table, ragged.values, ragged.offsets))
        (pooled[-1] * wanted).sum().backward()
    close(*pooled)
    close(gradient(fused), gradient(plain))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=bags, dim=st.sampled_from([1, 7, 16, 33]), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_weighted_sums_and_both_gradients_are_pytorchs(
    instructions: str, rows: list[list[int]], dim: int, dtype: torch.dtype
) -> None:
    ragged = sl.Ragged.from_lists(rows)
    wanted, start = torch.randn(len(rows), dim), torch.randn(len(ragged.values))
    pooled, of_weights = [], []
    fused, plain = tables(dim, dtype=dtype)
    for table in (fused, plain):
        weights = start.clone().requires_grad_()
        pooled.append(pool_sum(table, ragged.values, ragged.offsets, weights))
        (pooled[-1] * wanted).sum().backward()
        of_weights.append(torch.zeros_like(start) if weights.grad is None else weights.grad)
    close(*pooled)
    close(*of_weights)
    close(gradient(fused), gradient(plain))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=bags,
    kind=st.sampled_from(["sgd", "adagrad", "rowwise_adagrad"]),
    weighted=st.booleans(),
    threads=st.integers(1, 3),
)
def test_a_step_from_bags_is_the_step_from_their_rows(
    instructions: str, rows: list[list[int]], kind: Any, weighted: bool, threads: int
) -> None:
    ragged, dim = sl.Ragged.from_lists(rows), 16
    factors = torch.randn(len(ragged.values)) if weighted else None
    grouped, values = Bags(ragged.offsets, factors), torch.randn(len(rows), dim)
    known = ragged.values != 0
    ids = ragged.values[known]
    spread = (values[grouped.of_each()] * grouped.factors_of(ragged.values)[:, None])[known]
    results = []
    for options in ((ragged.values, values, grouped), (ids, spread, None)):
        weight = torch.ones(ROWS, dim)
        width = {"sgd": 0, "adagrad": dim, "rowwise_adagrad": 1}[kind]
        state = (torch.full((ROWS, width), 0.1),) if width else ()
        where, gradients, of = options
        update_rows(weight, state, where, gradients, Rule(kind, 0.1, 1e-7), bags=of, threads=threads)
        results.append(weight)
    close(*results)


def test_large_bags_are_the_same_for_any_number_of_threads() -> None:
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(0, ROWS, (50_000,), generator=random)
    offsets = torch.tensor([0, 0, 30_000, 30_001, 49_000, 50_000, 50_000])
    table, pooled, stepped = torch.randn(ROWS, 64), [], []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            pooled.append(pool_rows(table, ids, Bags(offsets)))
            factor_gradients(table, ids, Bags(offsets), pooled[-1])
        finally:
            torch.set_num_threads(1)
        weight = table.clone()
        update_rows(weight, (), ids, pooled[0], Rule("sgd", 1e-4), bags=Bags(offsets), threads=threads)
        stepped.append(weight)
    assert all(torch.equal(each, pooled[0]) for each in pooled)
    assert all(torch.equal(each, stepped[0]) for each in stepped)


VALUES, OFFSETS = torch.tensor([3, 5, 0, 3, 7, 3]), torch.tensor([0, 3, 3, 6])


def loss_of(table: Embedding) -> Tensor:
    return pool_mean(table, VALUES, OFFSETS).square().sum()


MAKERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "torch_adagrad": torch.optim.Adagrad,
    "torch_sparse_adam": torch.optim.SparseAdam,
    "adagrad": Adagrad,
    "rowwise_adagrad": RowwiseAdagrad,
    "adam": LazyAdam,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_optimizer_steps_from_bags_as_from_written_out_gradients(kind: str) -> None:
    fused, plain = tables(6)
    written = Embedding(ROWS, 6, sparse=True)
    written.load_state_dict(fused.state_dict())
    optimizers = {table: MAKERS[kind](table.parameters(), lr=0.1) for table in (fused, written)}
    for _ in range(3):
        for table, optimizer in optimizers.items():
            optimizer.zero_grad()
            loss_of(table).backward()
            assert isinstance(table.weight.grad, BagGradient)
            if table is written:
                table.weight.grad = table.weight.grad.written()
            optimizer.step()
    close(fused.weight, written.weight)
    assert not torch.equal(fused.weight, plain.weight)


def test_gradients_that_meet_are_added() -> None:
    fused, plain = tables(6)
    for table in (fused, plain):
        rows = table(torch.tensor([3, 9]))  # the same table by rows, and by bags twice
        (loss_of(table) + 2 * loss_of(table) + rows.square().sum()).backward()
        loss_of(table).backward()  # a second backward pass adds to the first's gradients
        loss_of(table).backward()
    close(gradient(fused), gradient(plain))
    twice, once = tables(6)
    for table in (twice, once):
        loss_of(table).backward()
        loss_of(table).backward()
    close(gradient(twice), gradient(once))
    steps = {table: RowwiseAdagrad(table.parameters(), lr=0.1) for table in (twice, once)}
    for optimizer in steps.values():
        optimizer.step()
    close(twice.weight, once.weight)


def test_gradients_of_bags_are_clipped_and_copied() -> None:
    fused, plain = tables(6)
    norms = []
    for table in (fused, plain):
        loss_of(table).backward()
        norms.append(clip_gradients(table.parameters(), 0.1))
    close(*norms)
    close(gradient(fused), gradient(plain))
    fused.zero_grad()
    copied = copy.deepcopy(fused)
    loss_of(copied).backward()
    assert fused.weight.grad is None
    assert copied.weight.grad is not None
    assert copied.weight.grad.is_sparse
    copied.weight.grad.mul_(2)
    fused, plain = tables(6)
    half = copy.deepcopy(Embedding(ROWS, 6, sparse=True, dtype=torch.bfloat16))
    loss_of(half).backward()
    assert half.weight.grad is not None
    assert half.weight.grad.dtype == torch.float32


def test_an_operation_on_the_gradient_in_place_holds() -> None:
    fused, plain = tables(6)
    for table in (fused, plain):
        loss_of(table).backward()
        assert table.weight.grad is not None
        table.weight.grad.mul_(3)
    close(gradient(fused), gradient(plain))
    optimizers = [Adagrad(table.parameters(), lr=0.1) for table in (fused, plain)]
    for optimizer in optimizers:
        optimizer.step()
    close(fused.weight, plain.weight)


def test_the_intermediate_rows_are_never_there() -> None:
    table = Embedding(1000, 64, sparse=True)
    values, offsets = torch.randint(1, 1000, (100_000,)), torch.arange(0, 100_001, 1000)
    with torch.autograd.graph.saved_tensors_hooks(lambda each: largest(each), lambda each: each):
        pooled = pool_mean(table, values, offsets)
    pooled.sum().backward()
    grad = table.weight.grad
    assert isinstance(grad, BagGradient)
    assert not grad.is_written
    assert grad.gradients.shape == (100, 64)


def largest(each: Tensor) -> Tensor:
    assert each.numel() <= 100_001
    return each


@pytest.mark.parametrize(
    ("ids", "offsets", "message"),
    [
        ([1, ROWS], [0, 2], "an id is no row of the table"),
        ([1, -1], [0, 2], "an id is no row of the table"),
        ([1, 2], [0, 1], "offsets must go from 0 to the number of ids"),
        ([1, 2], [1, 2], "offsets must go from 0"),
        ([1, 2], [0, 2, 1, 2], "offsets must not fall"),
    ],
)
def test_ids_and_offsets_that_do_not_fit_are_refused(
    ids: list[int], offsets: list[int], message: str
) -> None:
    table = Embedding(ROWS, 4, sparse=True)
    with pytest.raises(ValueError, match=message):
        pool_sum(table, torch.tensor(ids), torch.tensor(offsets, dtype=torch.int64))


def test_a_plain_table_of_pytorch_pools_alike() -> None:
    fused, plain = tables(5)
    other = nn.Embedding(ROWS, 5, sparse=True, padding_idx=0)
    with torch.no_grad():
        other.weight.copy_(fused.weight)
    for table in (other, plain):
        close(pool_mean(table, VALUES, OFFSETS), pool_mean(fused, VALUES, OFFSETS))
        close(pool_sum(table, VALUES, OFFSETS), pool_sum(fused, VALUES, OFFSETS))
