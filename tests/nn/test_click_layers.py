"""The layers of click models follow their papers' formulas, and refuse what does not fit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import click_models as slow
from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError
from shortlist.nn import CompressedInteraction, CrossMixture, FieldAttention, pairwise_sum
from shortlist.nn.bodies.final_mlp import BilinearMeeting, Gate

SEEDS = st.integers(0, 1000)


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """With weights of ordinary size everywhere, biases too, so that every term counts."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=draw)
    return module.double()


def block(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(SEEDS, st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_the_linear_time_sum_is_the_double_sum_over_pairs(seed, num_fields, dim):
    fields = block(seed, 3, num_fields, dim)
    expected = [slow.pairwise_sum(row) for row in fields.tolist()]
    torch.testing.assert_close(pairwise_sum(fields), torch.tensor(expected, dtype=torch.float64))


@given(SEEDS, st.integers(1, 4), st.integers(1, 3), st.lists(st.integers(1, 3), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_compressed_interactions_are_the_loops_over_vectors_and_fields(seed, num_fields, dim, maps):
    layer = randomised(CompressedInteraction(num_fields, maps), seed)
    fields = block(seed, 2, num_fields, dim)
    kernels = [mix.weight.tolist() for mix in layer.mixes]
    biases = [mix.bias.tolist() for mix in layer.mixes]
    expected = [slow.compressed_interaction(row, kernels, biases) for row in fields.tolist()]
    found = layer(fields)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert found.shape == (2, layer.out_features)


@given(SEEDS, st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_mixture_of_crosses_is_its_experts_one_by_one(seed, dim, rank, experts):
    layer = randomised(CrossMixture(dim, projection_dim=rank, num_experts=experts), seed)
    x0, x = block(seed, 2, 3, dim)
    weights = {
        "downs": layer.down.weight.reshape(experts, rank, dim).tolist(),
        "cores": layer.core.tolist(),
        "ups": layer.up.weight.reshape(dim, experts, rank).transpose(0, 1).tolist(),
        "gates": layer.gate.weight.tolist(),
        "bias": layer.bias.tolist(),
    }
    expected = [slow.cross_mixture(*row, **weights) for row in zip(x0.tolist(), x.tolist(), strict=True)]
    torch.testing.assert_close(layer(x0, x), torch.tensor(expected, dtype=torch.float64))
    assert layer(x0).equal(layer(x0, x0))


@given(SEEDS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_attention_among_fields_is_the_papers_head_by_head(seed, num_fields, dim, heads, width):
    layer = randomised(FieldAttention(dim, heads * width, heads=heads), seed)
    fields = block(seed, 2, num_fields, dim)
    queries, keys, values = layer.projection.weight.chunk(3)
    matrices = {"queries": queries, "keys": keys, "values": values, "residual": layer.residual.weight}
    options = {name: matrix.tolist() for name, matrix in matrices.items()}
    expected = [slow.field_attention(row, heads=heads, **options) for row in fields.tolist()]
    torch.testing.assert_close(layer(fields), torch.tensor(expected, dtype=torch.float64))


@given(SEEDS, st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_two_streams_meet_in_the_bilinear_form_of_every_head(seed, heads, first, second):
    layer = randomised(BilinearMeeting(heads * first, heads * second, heads=heads), seed)
    one, other = block(seed, 3, heads * first), block(seed + 1, 3, heads * second)
    weights = {
        "linear": (layer.first.weight[0].tolist(), layer.second.weight[0].tolist()),
        "bias": layer.first.bias.item(),
        "kernels": layer.kernel.tolist(),
    }
    expected = [
        slow.bilinear_meeting(a, b, **weights) for a, b in zip(one.tolist(), other.tolist(), strict=True)
    ]
    torch.testing.assert_close(layer(one, other), torch.tensor(expected, dtype=torch.float64))


def test_a_gate_lies_between_0_and_2_and_without_fields_starts_at_1():
    gate = Gate(3, 5, hidden=4)
    shares = gate(100 * torch.randn(50, 3))
    assert shares.shape == (50, 5)
    assert 0 <= shares.min() < 0.5 < 1.5 < shares.max() <= 2
    assert Gate(0, 5, hidden=4)(torch.zeros(50, 0)).tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CompressedInteraction(0, (2,)), r"num_fields is 0 and maps are \[2\].*pass positive"),
        (lambda: CompressedInteraction(3, ()), r"maps are \[\].*pass positive numbers"),
        (lambda: CompressedInteraction(3, (2, 0)), r"maps are \[2, 0\]"),
        (lambda: CrossMixture(4, projection_dim=0), "projection_dim 0.*pass positive numbers"),
        (lambda: CrossMixture(4, num_experts=0), "num_experts 0"),
        (lambda: FieldAttention(4, 5, heads=2), "out_dim 5 and heads 2.*a multiple of heads"),
        (lambda: FieldAttention(0, 4), "dim is 0"),
    ],
)
def test_a_wrong_number_is_refused_with_the_remedy(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pairwise_sum(torch.zeros(3, 4)), r"fields are \(3, 4\); pass \[batch, fields, dim\]"),
        (lambda: CompressedInteraction(3, (2,))(torch.zeros(2, 4, 5)), r"pass \[batch, 3, dim\]"),
        (lambda: FieldAttention(3, 4)(torch.zeros(2, 4, 5)), r"pass \[batch, fields, 3\]"),
        (lambda: CrossMixture(3)(torch.zeros(2, 4)), r"for a CrossMixture of dim 3; pass \[batch, 3\]"),
        (lambda: CrossMixture(3)(torch.zeros(2, 3), torch.zeros(1, 3)), r"x is \(1, 3\)"),
    ],
)
def test_inputs_of_a_wrong_shape_are_refused(call, says):
    with pytest.raises(ShapeError, match=says):
        call()
