"""Fully connected layers, in the order: linear, norm, activation, dropout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shortlist.errors import ConfigError
from shortlist.nn import MLP
from shortlist.nn.mlp import _ACTIVATIONS, activation_function


def test_the_layers_are_applied_one_after_another():
    torch.manual_seed(0)
    mlp = MLP(
        3, (4, 5, 2), activation="tanh", final_activation="sigmoid", layer_norm=True, dropout=0.5
    ).eval()
    inputs = torch.randn(6, 3)
    hidden = inputs
    for place, width in enumerate((4, 5)):
        linear = mlp.linears[place]
        hidden = hidden @ linear.weight.T + linear.bias
        hidden = torch.tanh(nn.functional.layer_norm(hidden, (width,)))
    expected = torch.sigmoid(hidden @ mlp.linears[2].weight.T + mlp.linears[2].bias)
    torch.testing.assert_close(mlp(inputs), expected)
    assert (mlp.in_features, mlp.out_features) == (3, 2)


def test_one_layer_is_linear_without_any_activation():
    mlp = MLP(3, (2,), layer_norm=True, dropout=0.9)
    inputs = torch.randn(4, 3)
    torch.testing.assert_close(mlp(inputs), mlp.linears[0](inputs))
    assert MLP(3, (2,), bias=False).linears[0].bias is None


def test_dropout_works_on_hidden_layers_in_training_alone():
    torch.manual_seed(0)
    mlp = MLP(3, (200, 1), dropout=0.5)
    inputs = torch.randn(1, 3).expand(50, 3)
    assert mlp(inputs).std() > 0
    mlp.eval()
    torch.testing.assert_close(mlp(inputs), mlp(inputs)[:1].expand(50, 1))


def test_leading_dimensions_are_kept():
    assert MLP(3, (4, 2))(torch.randn(5, 6, 3)).shape == (5, 6, 2)


@pytest.mark.parametrize("name", sorted(_ACTIVATIONS))
def test_every_activation_has_finite_gradients(name):
    mlp = MLP(2, (3, 1), activation=name)
    inputs = torch.tensor([[-50.0, 50.0], [0.0, 0.0]], requires_grad=True)
    mlp(inputs).sum().backward()
    assert inputs.grad.isfinite().all()
    assert all(each.grad.isfinite().all() for each in mlp.parameters())


def test_an_activation_may_be_any_function():
    assert activation_function(torch.sin) is torch.sin
    mlp = MLP(2, (3, 1), activation=torch.zeros_like)
    torch.testing.assert_close(mlp(torch.randn(4, 2)), mlp.linears[1].bias.expand(4, 1))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"units": ()}, "pass positive widths, at least one unit"),
        ({"units": (3, 0)}, r"units are \[3, 0\]"),
        ({"in_features": 0}, "in_features is 0"),
        ({"dropout": 1.0}, r"dropout is 1.0; pass a share in \[0, 1\)"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"activation": "rleu"}, "no activation 'rleu'; did you mean 'relu'"),
        ({"final_activation": "softmax"}, "no activation 'softmax'.*it can be one of"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_remedy(arguments, says):
    with pytest.raises(ConfigError, match=says):
        MLP(**{"in_features": 3, "units": (2,), **arguments})
