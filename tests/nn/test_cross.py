"""Crosses follow the formulas of the papers: DCN, DCN-v2, low rank, with a scaled diagonal."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import layers as slow

from shortlist.errors import ConfigError, ShapeError
from shortlist.nn import Cross, CrossNetwork


def randomised(cross: Cross, seed: int) -> Cross:
    """With weights of ordinary size and a bias, so that every term of the formula counts."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in cross.parameters():
            parameter.normal_(generator=draw)
    return cross.double()


def inputs(seed: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed + 1)
    x0, x = torch.randn(2, 3, dim, generator=draw, dtype=torch.float64)
    return x0, x


@given(st.integers(0, 50), st.integers(1, 5), st.sampled_from([0.0, 0.5]), st.sampled_from([None, "tanh"]))
@settings(max_examples=40, deadline=None)
def test_the_matrix_form_is_the_second_papers(seed, dim, diag_scale, activation):
    cross = randomised(Cross(dim, diag_scale=diag_scale, preactivation=activation), seed)
    x0, x = inputs(seed, dim)
    kernel, bias = cross.kernel.weight.tolist(), cross.bias.tolist()
    options = {"activation": math.tanh} if activation else {}
    expected = [
        slow.cross_matrix(one, other, kernel, bias, diag_scale=diag_scale, **options)
        for one, other in zip(x0.tolist(), x.tolist(), strict=True)
    ]
    torch.testing.assert_close(cross(x0, x), torch.tensor(expected, dtype=torch.float64))


@given(st.integers(0, 50), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_the_low_rank_form_is_the_product_of_two_thin_kernels(seed, dim, rank):
    cross = randomised(Cross(dim, projection_dim=rank), seed)
    x0, x = inputs(seed, dim)
    kernel = (cross.kernel.weight @ cross.down.weight).tolist()
    expected = [
        slow.cross_matrix(one, other, kernel, cross.bias.tolist())
        for one, other in zip(x0.tolist(), x.tolist(), strict=True)
    ]
    torch.testing.assert_close(cross(x0, x), torch.tensor(expected, dtype=torch.float64))
    assert cross.down.weight.shape == (rank, dim)


@given(st.integers(0, 50), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_vector_form_is_the_first_papers(seed, dim):
    cross = randomised(Cross(dim, form="vector"), seed)
    x0, x = inputs(seed, dim)
    expected = [
        slow.cross_vector(one, other, cross.kernel.weight[0].tolist(), cross.bias.tolist())
        for one, other in zip(x0.tolist(), x.tolist(), strict=True)
    ]
    torch.testing.assert_close(cross(x0, x), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("form", ["matrix", "vector"])
def test_without_a_second_input_the_first_crosses_itself_and_a_bias_may_be_left_out(form):
    cross = randomised(Cross(4, form=form, bias=False), 3)
    x0, _ = inputs(3, 4)
    assert cross(x0).equal(cross(x0, x0))
    assert cross.bias is None
    assert cross(torch.zeros(2, 4, dtype=torch.float64)).abs().sum() == 0


def test_a_fresh_cross_hardly_changes_its_input_and_a_seed_fixes_it():
    torch.manual_seed(0)
    cross = Cross(64)
    x0 = torch.randn(100, 64)
    assert 0 < (cross(x0) - x0).std() < 0.6 * x0.std()
    assert cross.kernel.weight.abs().max() <= 0.1
    assert cross.bias.abs().sum() == 0
    first, again = Cross(8, projection_dim=2), Cross(8, projection_dim=2)
    for each in (first, again):
        each.reset_parameters(torch.Generator().manual_seed(5))
    assert first.kernel.weight.equal(again.kernel.weight)
    assert first.down.weight.equal(again.down.weight)


@pytest.mark.parametrize("options", [{}, {"projection_dim": 2}, {"bias": False}])
def test_a_network_crosses_its_input_with_each_layer_before(options):
    network = CrossNetwork(4, 3, **options).double()
    for layer in network.layers:
        randomised(layer, 7)
    x0, _ = inputs(7, 4)
    expected = x0
    for layer in network.layers:
        expected = layer(x0, expected)
    assert network(x0).equal(expected)
    assert len(network.layers) == 3


def test_a_network_holds_products_of_one_feature_more_than_its_layers():
    network = CrossNetwork(1, 2, bias=False).double()
    with torch.no_grad():
        for layer in network.layers:
            layer.kernel.weight.fill_(1.0)
    x = torch.tensor([[2.0]], dtype=torch.float64)
    # x1 = x² + x = 6; x2 = x * x1 + x1 = 18 = x³ + 2x² + x
    assert network(x).item() == 18


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"form": "vector"},
        {"projection_dim": 2},
        {"diag_scale": 0.3, "preactivation": "relu"},
    ],
)
def test_gradients_reach_every_parameter_and_are_finite(options):
    cross = Cross(4, **options)
    x0 = torch.randn(5, 4, requires_grad=True)
    cross(x0, x0.tanh()).square().sum().backward()
    assert x0.grad.isfinite().all()
    for parameter in cross.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0
    assert "dim=4" in repr(cross)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cross(0), "dim is 0; pass the width of the features"),
        (lambda: Cross(4, form="tensor"), r"form is 'tensor'; pass 'matrix' \(DCN-v2\) or 'vector' \(DCN\)"),
        (lambda: Cross(4, projection_dim=0), "projection_dim is 0; pass a positive width"),
        (lambda: Cross(4, diag_scale=-1.0), "diag_scale is -1.0; pass 0 or more"),
        (lambda: Cross(4, diag_scale=float("nan")), "diag_scale is nan"),
        (lambda: Cross(4, form="vector", projection_dim=2), r"form='vector' has no.*leave them out"),
        (lambda: Cross(4, form="vector", diag_scale=0.1), "form='vector' has no"),
        (lambda: Cross(4, preactivation="rleu"), "did you mean 'relu'"),
        (lambda: CrossNetwork(4, 0), "num_layers is 0; pass at least 1"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_remedy(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


@pytest.mark.parametrize(("x0", "x"), [((2, 3), (2, 3)), ((2, 4), (3, 4)), ((2, 4), (2, 3))])
def test_inputs_of_a_wrong_width_are_refused(x0, x):
    with pytest.raises(ShapeError, match=r"for a Cross of dim 4; pass \[..., 4\] for both"):
        Cross(4)(torch.zeros(x0), torch.zeros(x))
