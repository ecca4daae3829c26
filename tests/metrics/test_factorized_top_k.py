from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import metrics as slow

from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, NotFittedError, ShapeError
from shortlist.metrics import FactorizedTopK

KS = (1, 3, 10)


@st.composite
def cases(draw):
    # Small whole numbers: the products are exact, and ties are everywhere.
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    queries, items, dim = draw(st.integers(1, 6)), draw(st.integers(1, 15)), draw(st.integers(1, 3))
    ids = torch.randperm(30, generator=generator)[:items] + 1
    embedded = [torch.randint(-1, 2, (rows, dim), generator=generator).float() for rows in (queries, items)]
    true = torch.where(
        torch.rand(queries, generator=generator) < 0.8,
        ids[torch.randint(items, (queries,), generator=generator)],
        99,
    )
    lengths = torch.randint(0, 5, (queries,), generator=generator)
    values = torch.randint(0, 32, (int(lengths.sum()),), generator=generator)
    weight = torch.randint(0, 3, (queries,), generator=generator).float()
    return (*embedded, ids, true, Ragged.from_lengths(values, lengths), weight)


def expected(scores, ids, true, exclude, weight):
    rows = []
    for row, true_id in enumerate(true.tolist()):
        by_id = dict(zip(ids.tolist(), scores[row].tolist(), strict=True))
        ranks = slow.places(by_id, true_id, set(exclude[row].tolist()))
        rows.append(slow.one_true_item(ranks, KS))
    return {name: slow.mean([row[name] for row in rows], weight.tolist()) for name in rows[0]}


def same(ours, theirs):
    return ours == pytest.approx(theirs, rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=80, deadline=None)
@given(cases())
def test_the_figures_equal_the_slow_reference(case):
    queries, candidates, ids, true, exclude, weight = case
    metric = FactorizedTopK(candidates, ids, ks=KS)
    metric.update(queries, true, exclude=exclude, sample_weight=weight)
    wanted = expected(queries @ candidates.T, ids, true, exclude, weight)
    assert same(metric.compute(), wanted)

    by_scores = FactorizedTopK(ks=KS)
    by_scores.update_scores(
        queries @ candidates.T, true, candidate_ids=ids, exclude=exclude, sample_weight=weight
    )
    assert same(by_scores.compute(), wanted)


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(0, 6))
def test_two_merged_parts_equal_one_stream(case, cut):
    queries, candidates, ids, true, exclude, weight = case
    whole, left, right = (FactorizedTopK(candidates, ids, ks=KS) for _ in range(3))
    whole.update(queries, true, exclude=exclude, sample_weight=weight)
    rows = torch.arange(len(queries))
    for part, metric in ((rows[:cut], left), (rows[cut:], right)):
        metric.update(queries[part], true[part], exclude=exclude.take(part), sample_weight=weight[part])
    left.merge(right)
    assert same(left.compute(), whole.compute())


@pytest.mark.parametrize("queries", [1, 2, 700])
@pytest.mark.parametrize("items", [1, 17, 1664])
def test_equal_candidates_all_tie_and_give_k_of_n(queries, items):
    generator = torch.Generator().manual_seed(3)
    candidates = torch.randn(1, 64, generator=generator).repeat(items, 1)
    metric = FactorizedTopK(candidates, torch.arange(1, items + 1), ks=(1, 10, 5_000))
    true = torch.randint(1, items + 1, (queries,), generator=generator)
    metric.update(torch.randn(queries, 64, generator=generator), true)
    figures = metric.compute()
    assert figures["hit_rate@1"] == pytest.approx(1 / items)
    assert figures["hit_rate@10"] == pytest.approx(min(10, items) / items)
    assert figures["hit_rate@5000"] == pytest.approx(1)
    assert figures["mrr"] == pytest.approx(sum(1 / rank for rank in range(1, items + 1)) / items)


@pytest.mark.parametrize("queries", [1, 5, 1_500])
@pytest.mark.parametrize("items", [1, 40, 2_500])
def test_ranking_by_the_true_embedding_agrees_with_ranking_by_id(queries, items):
    generator = torch.Generator().manual_seed(4)
    candidates = torch.randn(items, 16, generator=generator)
    ids = torch.arange(1, items + 1)
    rows = torch.randint(items, (queries,), generator=generator)
    for shape in ((queries, 16), (queries, 2, 16)):
        by_id, by_score = (FactorizedTopK(candidates, ids, ks=KS) for _ in range(2))
        embedded = torch.randn(shape, generator=generator)
        by_id.update(embedded, ids[rows])
        by_score.update(embedded, true_embeddings=candidates[rows])
        assert same(by_score.compute(), by_id.compute())


def test_a_true_embedding_outside_the_catalogue_ranks_where_it_would_stand():
    metric = FactorizedTopK(torch.tensor([[3.0], [1.0]]), torch.tensor([1, 2]), ks=(1, 2))
    metric.update(torch.ones(1, 1), true_embeddings=torch.tensor([[2.0]]))
    assert metric.compute()["hit_rate@1"] == 0
    assert metric.compute()["hit_rate@2"] == 1


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_figures_equal_tensorflow_recommenders(goldens_dir, by_id, weighted):
    with np.load(goldens_dir / "golden_tfrs.npz") as golden:
        names = ("q", "corpus", "corpus_ids", "true_ix", "w")
        queries, corpus, ids, rows, weight = (torch.from_numpy(golden[f"in/{name}"]) for name in names)
        wanted = golden[f"factk/bruteforce_id/byid={by_id}/sw={weighted}"]
    metric = FactorizedTopK(corpus, ids)
    true = {"true_candidate_ids": ids[rows]} if by_id else {"true_embeddings": corpus[rows]}
    metric.update(queries, **true, sample_weight=weight if weighted else None)
    ours = [metric.compute()[f"hit_rate@{k}"] for k in (1, 5, 10, 50, 100)]
    assert ours == pytest.approx(wanted.tolist(), rel=1e-5)


def test_the_best_of_several_query_heads_counts():
    metric = FactorizedTopK(torch.eye(2), torch.tensor([1, 2]), ks=(1,))
    metric.update(torch.tensor([[[1.0, 0.0], [0.0, 3.0]]]), torch.tensor([2]))
    assert metric.compute()["hit_rate@1"] == 1


def test_an_excluded_rival_makes_room_and_an_excluded_target_is_a_miss():
    candidates, ids = torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([1, 2, 3])
    for exclude, hit in (([], 0), ([1], 1), ([1, 1, 77], 1), ([2], 0), ([1, 2, 3], 0)):
        metric = FactorizedTopK(candidates, ids, ks=(1,))
        metric.update(torch.ones(1, 1), torch.tensor([2]), exclude=Ragged.from_lists([exclude]))
        assert metric.compute()["hit_rate@1"] == hit


def test_the_unknown_item_is_never_a_candidate():
    metric = FactorizedTopK(torch.tensor([[9.0], [1.0]]), ks=(1,))
    metric.update(torch.ones(2, 1), torch.tensor([1, 0]))
    assert metric.compute()["hit_rate@1"] == 0.5


def test_nothing_seen_is_nan_and_an_empty_catalogue_a_miss():
    metric = FactorizedTopK(torch.empty(0, 4), ks=(1,))
    metric.update(torch.empty(0, 4), torch.empty(0, dtype=torch.int64))
    assert np.isnan(metric.compute()["mrr"])
    metric.update(torch.zeros(1, 4), torch.tensor([1]))
    metric.update(torch.zeros(1, 4), true_embeddings=torch.zeros(1, 4))
    assert metric.compute()["hit_rate@1"] == 0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_rank_alike(dtype):
    metric = FactorizedTopK(torch.tensor([[2.0], [1.0]], dtype=dtype), torch.tensor([1, 2]), ks=(1,))
    metric.update(torch.full((1, 1), 60_000, dtype=dtype), torch.tensor([1]))
    assert metric.compute()["hit_rate@1"] == 1


def test_a_models_own_minus_infinity_ties_at_the_bottom():
    metric = FactorizedTopK(ks=(1, 2, 3))
    scores = torch.tensor([[0.0, 5.0, -torch.inf, -torch.inf]])
    metric.update_scores(scores, torch.tensor([2]))
    figures = metric.compute()
    assert [figures[f"hit_rate@{k}"] for k in (1, 2, 3)] == [0, 0.5, 1]


def test_mistakes_are_refused_with_the_remedy():
    metric = FactorizedTopK()
    one, ids = torch.ones(1, 2), torch.tensor([1])
    with pytest.raises(NotFittedError, match="bind"):
        metric.update(one, ids)
    metric.bind(torch.ones(3, 2))
    with pytest.raises(ConfigError, match="one of the two"):
        metric.update(one)
    with pytest.raises(ConfigError, match="one of the two"):
        metric.update(one, ids, true_embeddings=one)
    with pytest.raises(ShapeError, match="true_embeddings"):
        metric.update(one, true_embeddings=torch.ones(1, 3))
    with pytest.raises(ShapeError, match="2 columns"):
        metric.update(torch.ones(1, 3), ids)
    with pytest.raises(ShapeError, match="exclude has 2 rows"):
        metric.update(one, ids, exclude=Ragged.empty(2))
    with pytest.raises(DataError, match="query embeddings"):
        metric.update(one * torch.nan, ids)
    with pytest.raises(DataError, match="overflow"):
        metric.bind(torch.full((3, 2), 1e30)).update(one * 1e30, ids)
    with pytest.raises(DataError, match="not a number"):
        metric.update_scores(torch.tensor([[0.0, torch.nan]]), ids)
    with pytest.raises(ShapeError, match="num_candidates"):
        metric.update_scores(torch.zeros(3), ids)
    with pytest.raises(DataError, match="candidate id 4 comes more than once"):
        metric.bind(torch.ones(2, 2), torch.tensor([4, 4]))
    with pytest.raises(ShapeError, match="one integer id"):
        metric.bind(torch.ones(2, 2), torch.tensor([4]))
    with pytest.raises(ShapeError, match="num_candidates, dim"):
        metric.bind(torch.ones(2))
    with pytest.raises(ConfigError, match="without candidate_embeddings"):
        FactorizedTopK(None, torch.tensor([1]))
