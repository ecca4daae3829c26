"""Many ids in a small table: by several hash functions, and one table for several features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hashing as slow

import shortlist as sl
from shortlist.errors import ConfigError
from shortlist.nn import Embedding, MultiHashEmbedding, UnifiedEmbedding
from shortlist.nn.hashed_rows import hashed_rows
from shortlist.training import Adagrad

indices = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 100))


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(indices, max_size=8),
    seeds=st.lists(st.integers(0, 2**48), min_size=1, max_size=3),
    buckets=st.sampled_from([1, 2, 1000, 2**31]),
)
def test_rows_are_those_of_the_written_hash(values: list[int], seeds: list[int], buckets: int) -> None:
    rows = hashed_rows(torch.tensor(values, dtype=torch.int64), seeds, buckets)
    assert rows.tolist() == [[slow.hashed_row(value, seed, buckets) for seed in seeds] for value in values]


def test_every_bucket_is_about_as_full_and_the_functions_are_unlike() -> None:
    rows = hashed_rows(torch.arange(1, 100_001), [0, 1], 100)
    counts = torch.stack([torch.bincount(each, minlength=101)[1:] for each in rows.unbind(1)]).float()
    assert ((counts - 1000).abs() < 6 * 1000**0.5).all()
    assert (rows[:, 0] == rows[:, 1]).float().mean() == pytest.approx(0.01, abs=0.002)


KINDS: list[dict[str, Any]] = [
    {"combine": "sum"},
    {"combine": "concat"},
    {"combine": "sum", "sparse": True},
    {"combine": "concat", "sparse": True, "dtype": torch.bfloat16},
    {"combine": "sum", "sparse": True, "dtype": torch.bfloat16, "hashes": 3},
]


def by_hand(embedding: MultiHashEmbedding, value: int) -> torch.Tensor:
    rows = [slow.hashed_row(value, seed, embedding.buckets) for seed in range(embedding.hashes)]
    parts = [
        embedding.table.weight[row].float() * embedding.importance.weight[value, number]
        for number, row in enumerate(rows)
    ]
    return torch.stack(parts).sum(0) if embedding.combine == "sum" else torch.cat(parts)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_embedding_is_the_weighted_rows_of_its_hashes(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    embedding = MultiHashEmbedding(500, 12, buckets=20, **kind)
    with torch.no_grad():
        embedding.importance.weight[1:].normal_()
    values = torch.tensor([[3, 499, 0], [77, 3, 1]])
    found = embedding(values)
    assert found.shape == (2, 3, 12)
    assert found.dtype == torch.float32
    expected = torch.stack([by_hand(embedding, value) for value in values.flatten().tolist()])
    torch.testing.assert_close(found.reshape(6, 12), expected)
    assert not found[0, 2].any()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_bags_are_the_means_and_sums_of_their_embeddings(kind: dict[str, Any]) -> None:
    embedding = MultiHashEmbedding(500, 12, buckets=20, **kind)
    ragged = sl.Ragged.from_lists([[3, 499, 0], [], [3], [0]])
    weights = torch.tensor([0.5, -2.0, 3.0, 1.5, 1.0])
    rows = embedding(ragged.values)
    means = [rows[:2].mean(0), rows[0] * 0, rows[3], rows[0] * 0]
    sums = [(rows[:2] * weights[:2, None]).sum(0), rows[0] * 0, rows[3] * weights[3], rows[0] * 0]
    torch.testing.assert_close(embedding.pool_mean(ragged.values, ragged.offsets), torch.stack(means))
    torch.testing.assert_close(embedding.pool_sum(ragged.values, ragged.offsets, weights), torch.stack(sums))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_learns_what_a_hashed_table_of_one_function_cannot(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ids, target = torch.arange(1, 201), torch.randn(200, 12)
    hashed = 1 + ids % 100
    tables: list[torch.nn.Module] = [
        MultiHashEmbedding(201, 12, buckets=200 if kind["combine"] == "concat" else 100, **kind),
        Embedding(101, 12),
    ]
    errors = []
    for table, values in zip(tables, (ids, hashed), strict=True):
        optimizer = Adagrad(table.parameters(), lr=0.3)
        for _ in range(200):
            optimizer.zero_grad()
            (table(values) - target).square().sum(1).mean().backward()
            optimizer.step()
        errors.append((table(values) - target).square().mean().item())
    assert errors[0] < errors[1]


def test_the_table_is_as_small_as_it_says() -> None:
    embedding = MultiHashEmbedding(1_000_000, 64, buckets=10_000)
    assert sum(each.numel() for each in embedding.parameters()) == 10_001 * 64 + 2_000_000
    assert "buckets=10000" in repr(embedding)


def test_features_share_a_table_and_have_rows_of_their_own() -> None:
    torch.manual_seed(0)
    unified = UnifiedEmbedding(1000, 8, features={"user": 1, "item": 3})
    values = torch.tensor([[5, 0], [6, 7]])
    assert unified(values, "user").shape == (2, 2, 8)
    assert unified(values, "item").shape == (2, 2, 24)
    assert (unified.out_features("user"), unified.out_features("item")) == (8, 24)
    assert not unified(values, "item")[0, 1].any()
    assert not torch.equal(unified(values, "item")[..., :8], unified(values, "user"))
    assert sum(each.numel() for each in unified.parameters()) == 1001 * 8
    smaller = UnifiedEmbedding(1000, 8, features={"item": 3})
    smaller.load_state_dict(unified.state_dict())
    assert torch.equal(smaller(values, "item"), unified(values, "item"))


@pytest.mark.parametrize("sparse", [False, True])
def test_bags_of_a_unified_table_are_those_of_its_embeddings(sparse: bool) -> None:
    unified = UnifiedEmbedding(30, 4, features={"tags": 2}, sparse=sparse)
    ragged = sl.Ragged.from_lists([[3, 9, 0], [], [11]])
    rows = unified(ragged.values, "tags")
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0])
    means = torch.stack([rows[:2].mean(0), torch.zeros(8), rows[3]])
    sums = torch.stack([(rows[:2] * weights[:2, None]).sum(0), torch.zeros(8), 3 * rows[3]])
    torch.testing.assert_close(unified.pool_mean(ragged.values, ragged.offsets, "tags"), means)
    torch.testing.assert_close(unified.pool_sum(ragged.values, ragged.offsets, "tags", weights), sums)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHashEmbedding(10, 4, buckets=0), "buckets is 0"),
        (lambda: MultiHashEmbedding(10, 4, buckets=2, hashes=0), "hashes is 0"),
        (lambda: MultiHashEmbedding(10, 4, buckets=2, hashes=3, combine="concat"), "3 parts do not make up"),
        (lambda: MultiHashEmbedding(10, 4, buckets=2, combine="product"), "combine is 'product'"),
        (lambda: UnifiedEmbedding(0, 4, features={"a": 1}), "buckets is 0"),
        (lambda: UnifiedEmbedding(5, 4, features={}), "features is {}"),
        (lambda: UnifiedEmbedding(5, 4, features={"a": 0}), "features is"),
        (lambda: UnifiedEmbedding(5, 4, features={"item": 1}).out_features("itme"), "'itme' is unknown"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
