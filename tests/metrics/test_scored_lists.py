"""Metrics of scored lists, against all orders that their ties allow."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import scored_lists as slow
from torch import Tensor

from shortlist import metrics
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.metrics import ListRankingMetrics, ScoredLists

# Few scores, so that ties are the rule.
ITEM = st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 3), st.sampled_from([0.5, 1.0, 2.0]))
ROWS = st.lists(st.lists(ITEM, max_size=5), min_size=1, max_size=5)
Rows = list[list[slow.Item]]
METHODS = (
    "dcg", "ndcg", "reciprocal_rank", "hit_rate", "precision", "recall", "average_precision",
    "average_relevance_position",
)  # fmt: skip


def tensors(rows: Rows) -> tuple[Ragged, Tensor, Tensor]:
    scores = Ragged.from_lists([[item[0] for item in row] for row in rows], dtype=torch.float32)
    labels = torch.tensor([item[1] for row in rows for item in row], dtype=torch.int64)
    weights = torch.tensor([item[2] for row in rows for item in row], dtype=torch.float32)
    return scores, labels, weights


def close(found: Tensor, wanted: list[float]) -> None:
    torch.testing.assert_close(
        found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-9, equal_nan=True
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 6))
def test_ties_count_as_expected_under_a_random_order(rows: Rows, k: int) -> None:
    scores, labels, weights = tensors(rows)
    lists = ScoredLists(scores, labels, item_weights=weights)
    wanted = [slow.expected(row, k) if any(item[1] for item in row) else None for row in rows]
    for name in METHODS:
        method = getattr(lists, name)
        found = method() if name == "average_relevance_position" else method(k=k)
        close(found, [math.nan if each is None else each[name] for each in wanted])


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 6), st.booleans())
def test_the_metrics_of_judges_and_of_pairs_are_their_definitions(rows: Rows, k: int, trec: bool) -> None:
    scores, labels, weights = tensors(rows)
    lists = ScoredLists(scores, labels, item_weights=weights)
    close(lists.ordered_pair_accuracy(), [slow.pair_accuracy(row) for row in rows])
    taught = [any(item[1] for item in row) for row in rows]
    close(
        lists.bpref(k=k, trec=trec),
        [slow.bpref(row, k, trec) if has else math.nan for row, has in zip(rows, taught, strict=True)],
    )
    close(
        lists.expected_reciprocal_rank(k=k, highest_label=3),
        [
            slow.expected_reciprocal_rank(row, k, 3) if has else math.nan
            for row, has in zip(rows, taught, strict=True)
        ],
    )


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 6))
def test_a_list_without_ties_is_a_ranked_list(rows: Rows, k: int) -> None:
    rows = [[(place * 1.0, label, 1.0) for place, (_, label, _) in enumerate(row)] for row in rows]
    scores, labels, _ = tensors(rows)
    lists = ScoredLists(scores, labels)
    # The same as ranked item indices, best first, against the relevant ones.
    ranked = torch.stack([torch.tensor(([*range(len(row), 0, -1)] + [0] * 5)[:5]) for row in rows])
    relevant = Ragged.from_lists([[i + 1 for i, item in enumerate(row) if item[1]] for row in rows])
    grades = torch.tensor([item[1] for row in rows for item in row if item[1]], dtype=torch.float64)
    for name in ("hit_rate", "recall", "reciprocal_rank"):
        close(getattr(lists, name)(k=k), getattr(metrics, name)(ranked, relevant, k=k).tolist())
    close(lists.ndcg(k=k), metrics.ndcg(ranked, relevant, k=k, grades=grades).tolist())


def test_an_item_of_weight_nothing_is_not_there() -> None:
    scores, labels, _ = tensors([[(3.0, 0, 1.0), (2.0, 1, 1.0), (1.0, 0, 1.0)]])
    without = ScoredLists(scores, labels, item_weights=torch.tensor([0.0, 1.0, 1.0]))
    assert without.reciprocal_rank().item() == 1
    assert ScoredLists(scores, labels).reciprocal_rank().item() == 0.5


def test_all_tied_scores_are_worth_no_more_than_chance() -> None:
    lists = ScoredLists(Ragged.from_lengths(torch.zeros(100), torch.tensor([100])), torch.eye(100)[7])
    assert lists.hit_rate(k=10).item() == pytest.approx(0.1)
    assert lists.precision(k=10).item() == pytest.approx(0.01)
    assert lists.ordered_pair_accuracy().item() == 0.5


def test_huge_labels_and_infinite_scores_have_an_ndcg() -> None:
    scores = Ragged.from_lists([[math.inf, 0.0, -math.inf]], dtype=torch.float32)
    assert ScoredLists(scores, torch.tensor([2_000.0, 1_999.0, 0.0])).ndcg().item() == pytest.approx(1)


def test_subtopics_gain_less_each_time_they_are_covered() -> None:
    scores = Ragged.from_lists([[3.0, 2.0, 1.0], [1.0], []], dtype=torch.float32)
    subtopics = torch.tensor([[1.0, 0], [1, 1], [0, 0], [0, 0]])
    found = metrics.alpha_dcg(scores, subtopics, alpha=0.5)
    assert found[0].item() == pytest.approx(1 + (0.5 + 1) / math.log2(3))
    assert found[1:].isnan().all()
    assert metrics.alpha_dcg(scores, subtopics, k=1)[0].item() == 1
    assert metrics.precision_ia(scores, subtopics, k=2)[0].item() == pytest.approx(3 / (2 * 2))
    assert metrics.precision_ia(scores, subtopics)[1:].isnan().all()


def test_parts_merged_are_the_whole() -> None:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([4, 3, 0, 5, 2])
    values, labels = torch.randn(14, generator=generator), torch.randint(0, 3, (14,), generator=generator)
    weights = torch.tensor([1.0, 2.0, 1.0, 0.0, 3.0])
    whole, first, second = (ListRankingMetrics(ks=(1, 3)) for _ in range(3))
    scores = Ragged.from_lengths(values, lengths)
    whole.update(scores, labels, list_weights=weights)
    first.update(Ragged.from_lengths(values[:7], lengths[:3]), labels[:7], list_weights=weights[:3])
    second.update(Ragged.from_lengths(values[7:], lengths[3:]), labels[7:], list_weights=weights[3:])
    first.merge(second)
    assert first.compute() == pytest.approx(whole.compute())
    each = ScoredLists(scores, labels).ndcg(k=3)
    kept = ~each.isnan()
    assert whole.compute()["ndcg@3"] == pytest.approx(
        float((each * weights)[kept].sum() / weights[kept].sum())
    )


def test_nothing_relevant_anywhere_is_nan() -> None:
    metric = ListRankingMetrics(ks=(2,))
    metric.update(Ragged.from_lists([[1.0, 2.0], []], dtype=torch.float32), torch.zeros(2))
    assert all(math.isnan(value) for value in metric.compute().values())


def test_mistakes_are_refused_with_the_remedy() -> None:
    scores = Ragged.from_lists([[1.0, 2.0]], dtype=torch.float32)
    with pytest.raises(DataError, match="a label is -1"):
        ScoredLists(scores, torch.tensor([1.0, -1.0]))
    with pytest.raises(DataError, match="a score is not a number"):
        ScoredLists(Ragged.from_lists([[math.nan]], dtype=torch.float32), torch.ones(1))
    with pytest.raises(DataError, match="item weight is nan"):
        ScoredLists(scores, torch.ones(2), item_weights=torch.tensor([1.0, math.nan]))
    with pytest.raises(ShapeError, match="one score and one label"):
        ScoredLists(scores, torch.ones(3))
    with pytest.raises(ShapeError, match="subtopics are"):
        metrics.alpha_dcg(scores, torch.ones(2))
    with pytest.raises(ConfigError, match="alpha is 2"):
        metrics.alpha_dcg(scores, torch.ones(2, 1), alpha=2)
    with pytest.raises(ConfigError, match="positive integers"):
        ScoredLists(scores, torch.ones(2)).ndcg(k=0)
    with pytest.raises(DataError, match="highest_label"):
        ScoredLists(scores, torch.full((2,), 5.0)).expected_reciprocal_rank()
    with pytest.raises(DataError, match="subtopics"):
        ScoredLists(scores, torch.ones(2, 2))
