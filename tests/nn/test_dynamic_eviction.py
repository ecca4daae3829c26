"""Rows that go: by age, by frequency, by a budget."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.errors import ConfigError
from shortlist.nn import DynamicEmbedding
from shortlist.nn.dynamic.eviction import row_bytes
from shortlist.training import Adagrad


def seen(batches: list[list[int]], dim: int = 2) -> DynamicEmbedding:
    """A table that took a step after each batch."""
    table = DynamicEmbedding(dim)
    optimizer = Adagrad(table.parameters())
    for ids in batches:
        optimizer.zero_grad()
        table(torch.tensor(ids, dtype=torch.int64)).sum().backward()
        optimizer.step()
    return table


history = st.lists(st.lists(st.integers(0, 12), max_size=8), min_size=1, max_size=8)


@given(history, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_the_rows_that_go_are_those_that_meet_every_condition(
    batches: list[list[int]], unseen_for: int | None, seen_fewer_than: int | None
) -> None:
    if unseen_for is None and seen_fewer_than is None:
        return
    table = seen(batches)
    last = {id: number for number, ids in enumerate(batches) for id in ids}
    count = {id: sum(ids.count(id) for ids in batches) for id in last}
    gone = [
        id
        for id in sorted(last)
        if (unseen_for is None or len(batches) - last[id] >= unseen_for)
        and (seen_fewer_than is None or count[id] < seen_fewer_than)
    ]
    assert table.evict(unseen_for=unseen_for, seen_fewer_than=seen_fewer_than).tolist() == gone
    assert table.rows()["id"].to_list() == sorted(last.keys() - set(gone))


@given(history, st.integers(0, 14), st.sampled_from(["recent", "frequent"]))
@settings(max_examples=60, deadline=None)
def test_the_rows_that_stay_in_a_budget_are_the_best_of_them(
    batches: list[list[int]], room: int, keep: Any
) -> None:
    table = seen(batches)
    last = {id: number for number, ids in enumerate(batches) for id in ids}
    count = {id: sum(ids.count(id) for ids in batches) for id in last}
    keys = {
        "recent": lambda id: (-last[id], -count[id], id),
        "frequent": lambda id: (-count[id], -last[id], id),
    }
    table.shrink(room * row_bytes(table.table) + 1, keep=keep)
    assert table.rows()["id"].to_list() == sorted(sorted(last, key=keys[keep])[:room])


def test_a_gradient_of_a_row_that_went_is_dropped() -> None:
    table = DynamicEmbedding(2)
    optimizer = Adagrad(table.parameters())
    table(torch.tensor([1, 2, 3])).sum().backward()
    before = table.rows()
    assert table.evict(seen_fewer_than=2).tolist() == [1, 2, 3]
    table(torch.tensor([2]))
    optimizer.step()
    assert table.rows()["id"].to_list() == [2]
    assert table.rows()["weights"][0].to_list() < before["weights"][1].to_list()


def test_memory_does_not_grow_where_as_many_rows_go_as_come() -> None:
    table = DynamicEmbedding(32)
    optimizer = Adagrad(table.parameters())
    sizes = []
    for start in range(0, 200_000, 10_000):
        optimizer.zero_grad()
        table(torch.arange(start, start + 10_000)).sum().backward()
        optimizer.step()
        table.evict(unseen_for=2)
        sizes.append(table.num_bytes)
    assert sizes[-1] < 1.1 * sizes[4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda table: table.evict(), "evict needs a condition"),
        (lambda table: table.evict(unseen_for=-1), "unseen_for is -1"),
        (lambda table: table.evict(seen_fewer_than=-2), "seen_fewer_than is -2"),
        (lambda table: table.shrink(-1), "max_bytes is -1"),
        (lambda table: table.shrink(10, keep="best"), "keep is 'best'"),
    ],
)
def test_conditions_out_of_range_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(DynamicEmbedding(2))
