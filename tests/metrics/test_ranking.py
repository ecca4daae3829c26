from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import metrics as slow

from shortlist import metrics
from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.metrics import RankingMetrics

FUNCTIONS = {
    "hit_rate": metrics.hit_rate,
    "recall": metrics.recall,
    "precision": metrics.precision,
    "mrr": metrics.reciprocal_rank,
    "map": metrics.average_precision,
}


@st.composite
def cases(draw):
    rows, width = draw(st.integers(1, 5)), draw(st.integers(0, 6))
    item = st.integers(0, 8)
    ranked = [draw(st.lists(item, min_size=width, max_size=width)) for _ in range(rows)]
    relevant = [draw(st.dictionaries(item, st.sampled_from([0.0, 1, 2, 0.5]), max_size=5)) for _ in ranked]
    weight = draw(st.lists(st.sampled_from([0.0, 0.3, 1, 2]), min_size=rows, max_size=rows))
    return torch.tensor(ranked, dtype=torch.int64).reshape(rows, width), relevant, torch.tensor(weight)


def tensors(relevant):
    items = Ragged.from_lists([list(row) for row in relevant])
    return items, torch.tensor([grade for row in relevant for grade in row.values()], dtype=torch.float64)


def close(ours, theirs):
    return ours == pytest.approx(theirs, rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 9))
def test_each_function_equals_the_slow_reference(case, k):
    ranked, relevant, _ = case
    items, grades = tensors(relevant)
    for name, function in FUNCTIONS.items():
        binary = [dict.fromkeys(row, 1.0) for row in relevant]
        rows = [slow.ranked_list(r, b, k) for r, b in zip(ranked.tolist(), binary, strict=True)]
        wanted = [math.nan if row is None else row[name] for row in rows]
        assert close(function(ranked, items, k=k).tolist(), wanted)
    rows = [slow.ranked_list(r, b, k) for r, b in zip(ranked.tolist(), relevant, strict=True)]
    wanted = [math.nan if row is None else row["ndcg"] for row in rows]
    assert close(metrics.ndcg(ranked, items, k=k, grades=grades).tolist(), wanted)


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 5))
def test_the_stream_is_the_weighted_mean_of_the_rows_that_have_relevant_items(case, cut):
    ranked, relevant, weight = case
    ks = (1, 3, 8)
    wanted = {}
    for k in ks:
        rows = [slow.ranked_list(r, b, k) for r, b in zip(ranked.tolist(), relevant, strict=True)]
        kept = [(row, w) for row, w in zip(rows, weight.tolist(), strict=True) if row is not None]
        for name in (*FUNCTIONS, "ndcg"):
            wanted[f"{name}@{k}"] = slow.mean([row[name] for row, _ in kept], [w for _, w in kept])
    first, second = RankingMetrics(ks=ks), RankingMetrics(ks=ks)
    for part, metric in ((slice(0, cut), first), (slice(cut, None), second)):
        items, grades = tensors(relevant[part])
        metric.update(ranked[part], items, grades=grades, sample_weight=weight[part])
    first.merge(second)
    assert close(first.compute(), wanted)


@settings(max_examples=50, deadline=None)
@given(cases(), st.integers(1, 4), st.integers(1, 12))
def test_padding_never_changes_a_number(case, pads, k):
    ranked, relevant, _ = case
    items, grades = tensors(relevant)
    padded = torch.cat([ranked, ranked.new_zeros(len(ranked), pads)], dim=1)
    for function in FUNCTIONS.values():
        assert torch.equal(
            function(ranked, items, k=k).nan_to_num(-1), function(padded, items, k=k).nan_to_num(-1)
        )
    before, after = (metrics.ndcg(r, items, k=k, grades=grades).nan_to_num(-1) for r in (ranked, padded))
    assert torch.equal(before, after)


def test_an_item_ranked_twice_counts_once():
    ranked, relevant = torch.tensor([[7, 7, 7]]), Ragged.from_lists([[7, 7, 3]])
    assert metrics.recall(ranked, relevant, k=3).tolist() == [0.5]
    assert metrics.ndcg(ranked, relevant, k=3).item() < 1


def test_huge_grades_neither_overflow_nor_turn_into_nan():
    ranked, relevant = torch.tensor([[1, 2]]), Ragged.from_lists([[1, 2]])
    grades = torch.tensor([2_000.0, 1_999.0])
    assert metrics.ndcg(ranked, relevant, k=2, grades=grades).item() == pytest.approx(1)
    assert metrics.ndcg(ranked.flip(1), relevant, k=2, grades=grades).item() == pytest.approx(
        0.8597, abs=1e-4
    )


def test_float16_grades_and_weights_are_accepted():
    metric = RankingMetrics(ks=(2,))
    half = torch.ones(1, dtype=torch.float16)
    metric.update(torch.tensor([[1, 0]]), Ragged.from_lists([[1]]), grades=half, sample_weight=half)
    assert metric.compute()["ndcg@2"] == 1


def test_nothing_relevant_anywhere_is_nan():
    metric = RankingMetrics(ks=(2,))
    metric.update(torch.tensor([[1, 2]]), Ragged.empty(1))
    metric.update(torch.empty(0, 3, dtype=torch.int64), Ragged.empty(0))
    assert all(math.isnan(value) for value in metric.compute().values())


def test_mistakes_are_refused_with_the_remedy():
    ranked, relevant = torch.tensor([[1, 2]]), Ragged.from_lists([[1]])
    with pytest.raises(DataError, match="pad with 0"):
        metrics.recall(-ranked, relevant, k=1)
    with pytest.raises(DataError, match="dense indices"):
        metrics.recall(ranked * (2**62 - 1), relevant, k=1)
    with pytest.raises(DataError, match="finite"):
        metrics.ndcg(ranked, relevant, k=1, grades=torch.tensor([torch.nan]))
    with pytest.raises(ShapeError, match="one grade"):
        metrics.ndcg(ranked, relevant, k=1, grades=torch.ones(2))
    with pytest.raises(ShapeError, match="one row of relevant items"):
        metrics.recall(ranked, Ragged.empty(2), k=1)
    with pytest.raises(ConfigError, match="positive integers"):
        metrics.recall(ranked, relevant, k=0)
