"""The inner products of each pair of embeddings."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import layers as slow

from shortlist.errors import ShapeError
from shortlist.nn import DotInteraction


@given(st.integers(0, 4), st.integers(1, 5), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_pair_is_multiplied_once(batch, features, dim, self_interaction):
    stacked = torch.randn(batch, features, dim, dtype=torch.float64)
    layer = DotInteraction(self_interaction=self_interaction)
    output = layer(stacked)
    expected = [slow.pairs(row, self_interaction=self_interaction) for row in stacked.tolist()]
    width = layer.out_features(features)
    torch.testing.assert_close(output, torch.tensor(expected, dtype=torch.float64).reshape(batch, width))
    assert layer(list(stacked.unbind(1))).equal(output)


@pytest.mark.parametrize("self_interaction", [True, False])
def test_without_gathers_the_pairs_stand_in_a_whole_matrix(self_interaction):
    stacked = torch.randn(3, 4, 5)
    whole = DotInteraction(self_interaction=self_interaction, skip_gather=True)
    matrix = whole(stacked).reshape(3, 4, 4)
    rows, columns = torch.tril_indices(4, 4, 0 if self_interaction else -1)
    pairs = DotInteraction(self_interaction=self_interaction)(stacked)
    torch.testing.assert_close(matrix[:, rows, columns], pairs)
    assert matrix.abs().sum() == pytest.approx(pairs.abs().sum().item())
    assert whole.out_features(4) == 16


def test_gradients_are_finite_and_reach_every_feature():
    features = [torch.randn(2, 3, requires_grad=True) for _ in range(3)]
    DotInteraction()(features).sum().backward()
    assert all(each.grad.isfinite().all() and each.grad.abs().sum() > 0 for each in features)


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ([], "0 features.*give all of them one width"),
        (
            [torch.zeros(2, 3), torch.zeros(2, 4)],
            r"shapes \[\(2, 3\), \(2, 4\)\]; give all",
        ),
        (torch.zeros(2, 3), r"features are \(2, 3\); pass \[batch, features, dim\]"),
        ([torch.zeros(3)], r"features are \(1, 3\)|features are \(3, 1\)"),
    ],
)
def test_features_that_do_not_fit_are_refused_with_the_remedy(features, says):
    with pytest.raises(ShapeError, match=says):
        DotInteraction()(features)
