"""Scorers of lists: what others are in the batch never counts, nor the order of the items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.scorers import scores_by_attention, scores_of_pairs
from torch import nn

from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.nn import (
    AdditiveScorer,
    AttentionScorer,
    EnsembleScorer,
    GroupwiseScorer,
    UnivariateScorer,
)

WIDTH = 3
SCORERS: dict[str, Callable[..., nn.Module]] = {
    "univariate": UnivariateScorer,
    "pairs": GroupwiseScorer,
    "groups of three": lambda width, **more: GroupwiseScorer(width, group_size=3, **more),
    "attention": lambda width, **more: AttentionScorer(width, dim=8, layers=2, **more),
    "additive": AdditiveScorer,
    "additive, with a context": lambda width, **more: AdditiveScorer(width, context=[1], **more),
    "ensemble": lambda width, **more: EnsembleScorer([UnivariateScorer(width, **more) for _ in range(3)]),
}
each_scorer = pytest.mark.parametrize("make", SCORERS.values(), ids=SCORERS)
LENGTHS = st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 9]), min_size=1, max_size=6)


def drawn(lengths: list[int], seed: int = 0) -> Ragged:
    """Lists of a few distinct numbers, so that some items are alike."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-2, 3, (sum(lengths), WIDTH), generator=generator) / 2
    return Ragged.from_lengths(values, torch.tensor(lengths))


def made(make: Callable[..., nn.Module], **settings: Any) -> nn.Module:
    """A scorer that has seen some items, so that its scaling is not the first one."""
    torch.manual_seed(0)
    scorer = make(WIDTH, **settings)
    for seed in range(5):
        scorer(drawn([4, 9, 1], seed))
    return scorer.eval()


@each_scorer
@settings(max_examples=15, deadline=None)
@given(LENGTHS, st.integers(0, 99))
def test_a_list_has_the_same_scores_alone_and_among_others(make, lengths, seed):
    scorer, features = made(make), drawn(lengths, seed)
    together = scorer(features)
    assert torch.equal(together.offsets, features.offsets)
    assert together.values.isfinite().all()
    for row in range(len(features)):
        alone = scorer(features.take(torch.tensor([row]))).values
        torch.testing.assert_close(alone, together[row], rtol=1e-4, atol=1e-5)


@each_scorer
@settings(max_examples=15, deadline=None)
@given(LENGTHS, st.integers(0, 99))
def test_in_another_order_the_items_keep_their_scores(make, lengths, seed):
    scorer, features = made(make), drawn(lengths, seed)
    order = torch.rand(len(features.values)).argsort()
    order = order[features.row_ids()[order].argsort(stable=True)]
    moved = scorer(Ragged(features.values[order], features.offsets)).values
    expected = scorer(features).values[order]
    if isinstance(scorer, GroupwiseScorer) and scorer.group_size > 2:
        # Items that are alike may change places with each other in the groups.
        distinct = [
            row.unique(dim=0).shape == row.shape for row in map(features.__getitem__, range(len(features)))
        ]
        kept = torch.tensor(distinct)[features.row_ids()]
        moved, expected = moved[kept], expected[kept]
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)


@each_scorer
@pytest.mark.parametrize("lengths", [[0], [1], [0, 0, 1], [1, 1, 1], [7, 1, 0, 3]], ids=str)
def test_it_trains_on_lists_however_short(make, lengths):
    torch.manual_seed(0)
    scorer = make(WIDTH, dropout=0.1)
    scores = scorer(drawn(lengths))
    scores.values.square().sum().backward()
    assert scores.values.isfinite().all()
    for name, parameter in scorer.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
        assert parameter.grad is not None or not sum(lengths), name


@each_scorer
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_a_feature_that_is_no_number_is_refused_by_its_place(make, wrong):
    features = drawn([2, 3])
    features.values[4, 1] = wrong
    with pytest.raises(DataError, match=r"feature 1 of item 4 is .*fill what is missing"):
        made(make)(features)


@each_scorer
def test_features_of_another_width_are_refused(make):
    with pytest.raises(ShapeError, match=r"features are \(5, 2\), not \[total, 3\]"):
        made(make)(Ragged.from_lengths(torch.zeros(5, 2), torch.tensor([5])))
    with pytest.raises(ShapeError, match=r"features are \(5,\)"):
        made(make)(Ragged.from_lengths(torch.zeros(5), torch.tensor([5])))


@each_scorer
def test_a_constant_feature_and_a_huge_one_leave_the_scores_finite(make):
    torch.manual_seed(0)
    scorer = make(WIDTH, log1p=True)
    values = torch.stack([torch.full((20,), 7.0), torch.linspace(-1e12, 1e12, 20), torch.zeros(20)], dim=1)
    assert scorer(Ragged.from_lengths(values, torch.tensor([20]))).values.isfinite().all()


def test_dropped_features_stand_at_their_mean_in_training_and_are_whole_afterwards():
    torch.manual_seed(0)
    features = Ragged.from_lengths(torch.randn(4000, WIDTH) + 5, torch.tensor([4000]))
    scorer = UnivariateScorer(WIDTH, hidden=(), input_dropout=0.25)
    seen: list[torch.Tensor] = []
    scorer.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    scorer(features)
    assert float((seen[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(seen[0].mean()) == pytest.approx(0, abs=0.03)
    scorer.eval()(features)
    assert not bool((seen[1] == 0).any())


def test_log1p_is_symmetric():
    torch.manual_seed(0)
    plain, logarithmic = UnivariateScorer(WIDTH), UnivariateScorer(WIDTH, log1p=True)
    logarithmic.load_state_dict(plain.state_dict())
    values = torch.randn(9, WIDTH)
    changed = values.sign() * (values.abs().exp() - 1)
    lengths = torch.tensor([9])
    expected = plain.eval()(Ragged.from_lengths(values, lengths)).values
    found = logarithmic.eval()(Ragged.from_lengths(changed, lengths)).values
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(LENGTHS, st.integers(0, 99))
def test_pairs_are_scored_as_the_slow_reference_does(lengths, seed):
    scorer, features = made(GroupwiseScorer), drawn(lengths, seed)
    found = scorer(features)
    for row in range(len(features)):
        if lengths[row]:
            expected = scores_of_pairs(scorer, features[row])
            torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(LENGTHS, st.integers(0, 99))
def test_attention_is_that_of_the_slow_reference(lengths, seed):
    scorer, features = made(SCORERS["attention"]), drawn(lengths, seed)
    found = scorer(features)
    for row in range(len(features)):
        if lengths[row]:
            expected = scores_by_attention(scorer, features[row])
            torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)


def test_groups_in_training_hold_items_of_one_list_and_each_item_as_often():
    scorer, features = GroupwiseScorer(WIDTH, group_size=3), drawn([1, 2, 5, 0, 8])
    groups = scorer.train()._groups(features)
    rows = features.row_ids()[groups]
    assert (rows == rows[:, :1]).all()
    assert torch.equal(torch.bincount(groups.flatten()), torch.full((16,), 3))
    assert all(
        len(set(group)) == 3 for group, row in zip(groups.tolist(), rows[:, 0], strict=True) if row > 1
    )


def test_what_another_item_is_changes_a_score_only_where_scorers_look_at_it():
    features = drawn([4])
    other = Ragged(features.values.clone(), features.offsets)
    other.values[3] += 1
    for name, make in SCORERS.items():
        scorer = made(make)
        same = torch.allclose(scorer(features).values[:3], scorer(other).values[:3])
        assert same == (name not in ("pairs", "groups of three", "attention")), name


def test_an_ensemble_says_the_mean_of_its_members():
    scorer, features = made(SCORERS["ensemble"]), drawn([3, 2])
    each = torch.stack([member(features).values for member in scorer.members])
    torch.testing.assert_close(scorer(features).values, each.mean(0))
    assert not torch.allclose(each[0], each[1])


def test_a_score_is_the_sum_of_what_each_feature_adds_and_none_looks_at_another():
    scorer, features = made(AdditiveScorer), drawn([6, 4])
    parts = scorer.contributions(features)
    torch.testing.assert_close(parts.sum(1), scorer(features).values)
    other = Ragged(features.values.clone(), features.offsets)
    other.values[:, 2] = 9
    torch.testing.assert_close(scorer.contributions(other)[:, :2], parts[:, :2])


def test_a_curve_passes_through_what_the_feature_adds():
    scorer, features = made(AdditiveScorer), drawn([30, 20])
    parts = scorer.contributions(features).detach()
    curves = scorer.train().curves(features)
    assert scorer.training
    assert [curve.column for curve in curves] == [0, 1, 2]
    for curve in curves:
        assert torch.equal(curve.values, features.values[:, curve.column].unique())
        own = parts[:, curve.column] - parts[:, curve.column].mean()
        for value, height in zip(curve.values, curve.contributions, strict=True):
            at = own[features.values[:, curve.column] == value]
            torch.testing.assert_close(at, height.expand_as(at), rtol=1e-4, atol=1e-5)


def test_a_context_weighs_the_curves_and_has_none():
    scorer, features = made(SCORERS["additive, with a context"]), drawn([8])
    assert [curve.column for curve in scorer.curves(features, points=2)] == [0, 2]
    before = scorer.contributions(features)
    other = Ragged(features.values.clone(), features.offsets)
    other.values[:, 1] += 1
    ratios = scorer.contributions(other) / before
    assert not torch.allclose(ratios, torch.ones_like(ratios))
    assert before.shape == (8, 2)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: UnivariateScorer(0), "in_features is 0"),
        (lambda: UnivariateScorer(3, dropout=1.0), "dropout is 1.0"),
        (lambda: UnivariateScorer(3, input_dropout=-0.1), "input_dropout is -0.1"),
        (lambda: GroupwiseScorer(3, group_size=1), "group_size is 1"),
        (lambda: GroupwiseScorer(3, hidden=()), "hidden is \\[\\]"),
        (lambda: AttentionScorer(3, dim=9, heads=2), "2 heads cannot share a width of 9"),
        (lambda: AdditiveScorer(3, hidden=(8, 0)), "hidden is \\[8, 0\\]"),
        (lambda: AdditiveScorer(2, context=[0, 1]), "context is \\[0, 1\\] of 2 features"),
        (lambda: AdditiveScorer(2, context=[2]), "context is \\[2\\] of 2 features"),
        (lambda: EnsembleScorer([]), "an ensemble needs a member"),
        (lambda: AdditiveScorer(3).curves(drawn([2]), points=1), "points is 1"),
    ],
)
def test_settings_out_of_range_are_refused(make, match):
    with pytest.raises(ConfigError, match=match):
        make()


def test_curves_of_no_item_are_refused():
    with pytest.raises(DataError, match="there is no item to draw curves for"):
        AdditiveScorer(3).curves(drawn([0]))
