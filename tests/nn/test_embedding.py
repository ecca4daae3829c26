"""Rows of weights by index, the unknown's being zero whatever happens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import layers as slow

import shortlist as sl
from shortlist.nn.embedding import Embedding, pool_mean


def test_the_unknown_is_zero_and_stays_so_when_trained():
    table = Embedding(5, 3)
    assert table.weight[0].tolist() == [0, 0, 0]
    before = table.weight.detach().clone()
    optimizer = torch.optim.Adam(table.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        table(torch.tensor([0, 1, 1, 4])).exp().sum().backward()
        optimizer.step()
    assert table.weight[0].tolist() == [0, 0, 0]
    assert (table.weight[[1, 4]] != before[[1, 4]]).all()
    assert table.weight[[2, 3]].equal(before[[2, 3]])


@pytest.mark.parametrize("dim", [4, 64, 256])
def test_rows_have_a_length_of_about_one_whatever_their_width(dim):
    torch.manual_seed(0)
    lengths = Embedding(2000, dim).weight[1:].norm(dim=1)
    assert lengths.pow(2).mean().item() == pytest.approx(1, abs=0.05)


def test_a_scale_is_the_deviation_of_the_weights():
    torch.manual_seed(0)
    assert Embedding(2000, 16, scale=0.01).weight[1:].std().item() == pytest.approx(0.01, rel=0.05)
    assert Embedding(3, 2, scale=0.0).weight.abs().sum() == 0


bags = st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=6)


@given(bags)
@settings(max_examples=60, deadline=None)
def test_pooling_is_the_mean_of_the_known_rows(rows):
    table = Embedding(7, 3).double()
    ragged = sl.Ragged.from_lists(rows)
    pooled = pool_mean(table, ragged.values, ragged.offsets)
    expected = [slow.mean_of_rows(table.weight.tolist(), row) for row in rows]
    torch.testing.assert_close(pooled, torch.tensor(expected, dtype=torch.float64).reshape(-1, 3))
