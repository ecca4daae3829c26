from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.training import clip_gradients, fit


def gradients(model):
    return [
        parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
        for parameter in model.parameters()
    ]


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    max_norm=st.floats(0.01, 100),
    seed=st.integers(0, 9),
)
def test_sparse_gradients_are_clipped_as_dense_ones_are(rows, max_norm, seed):
    models = []
    for sparse in (False, True):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Embedding(5, 3, sparse=sparse), torch.nn.Linear(3, 2))
        model(torch.tensor(rows)).square().sum().backward()
        models.append(model)
    dense, sparse = models
    expected = torch.nn.utils.clip_grad_norm_(dense.parameters(), max_norm)
    assert torch.allclose(clip_gradients(sparse.parameters(), max_norm), expected)
    for ours, theirs in zip(gradients(sparse), gradients(dense), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_dense_gradients_are_clipped_as_torch_clips_them(make_model, loader):
    ours, theirs = make_model(dropout=0), make_model(dropout=0)
    for model in (ours, theirs):
        model.compute_loss(next(loader.epoch(0))).backward()
    norm = clip_gradients(ours.parameters(), 0.1)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.1))
    for one, other in zip(gradients(ours), gradients(theirs), strict=True):
        assert torch.equal(one, other)


def test_without_gradients_there_is_nothing_to_clip(make_model):
    assert clip_gradients(make_model().parameters(), 1.0) == 0


def test_gradients_under_the_limit_are_left_alone(make_model, loader):
    model = make_model()
    model.compute_loss(next(loader.epoch(0))).backward()
    before = [gradient.clone() for gradient in gradients(model)]
    clip_gradients(model.parameters(), math.inf)
    assert all(torch.equal(one, other) for one, other in zip(before, gradients(model), strict=True))


@pytest.mark.parametrize("optimizer", [torch.optim.SparseAdam, torch.optim.Adagrad])
def test_a_model_with_sparse_embeddings_trains_with_clipping(optimizer, make_model, loader):
    model = make_model(sparse=True)
    if optimizer is torch.optim.SparseAdam:  # takes sparse gradients only
        model.layers.requires_grad_(False)
    history = fit(model, loader, epochs=5, optimizer=optimizer, learning_rate=0.05, max_grad_norm=1.0)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
