"""Each kind of feature's entry of a batch becomes one row of numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import layers as slow

import shortlist as sl
from shortlist.data.encodings import (
    HashEncoding,
    SeenEncoding,
    StandardEncoding,
    TextEncoding,
    VectorEncoding,
)
from shortlist.nn import BagEncoder, DenseEncoder, HistoryEncoder, IndexEncoder
from shortlist.nn.encoders import build_encoder

histories = st.lists(st.lists(st.integers(0, 6), max_size=5), min_size=1, max_size=6)


def attentive(seed: int = 0, dropout: float = 0.0) -> HistoryEncoder:
    torch.manual_seed(seed)
    encoder = HistoryEncoder(7, 3, length=5, attention=True, dropout=dropout).double()
    with torch.no_grad():
        encoder.item_score.normal_()
        encoder.distance_score.normal_()
    return encoder.eval()


def test_an_index_is_a_row_of_the_table_and_zero_the_unknown():
    encoder = IndexEncoder(4, 3)
    encoded = encoder(torch.tensor([2, 0, 2]))
    assert encoded[0].equal(encoder.embedding.weight[2])
    assert encoded[1].tolist() == [0, 0, 0]
    assert encoded[2].equal(encoded[0])


def test_a_bag_is_the_mean_of_its_rows():
    encoder = BagEncoder(5, 3)
    encoded = encoder(sl.Ragged.from_lists([[1, 4, 0], [], [0]]))
    torch.testing.assert_close(encoded[0], encoder.embedding.weight[[1, 4]].mean(0))
    assert encoded[1:].abs().sum() == 0


def test_numbers_pass_as_they_are_or_through_a_projection():
    values = torch.randn(4, 2)
    assert DenseEncoder(2)(values) is values
    assert DenseEncoder(2).dim == 2
    encoder = DenseEncoder(2, 5)
    projection = encoder.projection
    torch.testing.assert_close(encoder(values), values @ projection.weight.T + projection.bias)
    assert encoder.dim == 5


@given(histories)
@settings(max_examples=60, deadline=None)
def test_a_mean_history_is_the_mean_of_its_known_items(rows):
    encoder = HistoryEncoder(7, 3, length=5, attention=False).double()
    expected = [slow.mean_of_rows(encoder.embedding.weight.tolist(), row) for row in rows]
    torch.testing.assert_close(
        encoder(sl.Ragged.from_lists(rows)), torch.tensor(expected, dtype=torch.float64)
    )


@given(histories, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_an_attentive_history_is_weighted_by_item_and_distance(rows, seed):
    encoder = attentive(seed)
    weights = encoder.embedding.weight.tolist()
    scores = encoder.item_score.tolist(), encoder.distance_score.tolist()
    expected = torch.tensor([slow.attention(weights, row, *scores) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(encoder(sl.Ragged.from_lists(rows)), expected, rtol=1e-5, atol=1e-6)


@given(histories)
@settings(max_examples=40, deadline=None)
def test_the_weights_of_a_history_sum_to_one_and_the_unknown_has_none(rows):
    ragged = sl.Ragged.from_lists(rows)
    weights = attentive().weights(ragged)
    sums = torch.zeros(len(rows)).index_add(0, ragged.row_ids(), weights)
    expected = [float(any(row)) for row in rows]
    torch.testing.assert_close(sums, torch.tensor(expected))
    assert (weights[ragged.values == 0] == 0).all()


def test_an_untrained_attention_is_the_mean():
    torch.manual_seed(0)
    encoder = HistoryEncoder(7, 3, length=5, attention=True)
    history = sl.Ragged.from_lists([[1, 2, 3], [4]])
    torch.testing.assert_close(
        encoder(history)[0], encoder.embedding.weight[[1, 2, 3]].mean(0), rtol=1e-5, atol=1e-6
    )


def test_extreme_scores_give_finite_weights_and_gradients():
    encoder = attentive().float().train()
    with torch.no_grad():
        encoder.item_score[1:] = torch.tensor([1e30, -1e30, 500.0, -500.0, 0.0, math.inf])
    history = sl.Ragged.from_lists([[1, 2, 3], [4, 2], [6, 5], []])
    output = encoder(history)
    output.sum().backward()
    assert output.isfinite().all()
    assert all(each.grad.isfinite().all() for each in encoder.parameters())


@pytest.mark.parametrize("attention", [True, False])
def test_dropout_hides_events_in_training_alone(attention):
    torch.manual_seed(0)
    encoder = HistoryEncoder(7, 3, length=5, attention=attention, dropout=0.5)
    history = sl.Ragged.from_lists([[1, 2, 3, 4]] * 200)
    encoder.eval()
    kept = encoder(history)
    torch.testing.assert_close(kept, kept[:1].expand(200, 3))
    encoder.train()
    distinct = {tuple(row) for row in encoder(history).detach().mul(1e4).round().tolist()}
    possible = {
        tuple(torch.stack([encoder.embedding.weight[i] for i in chosen]).mean(0).mul(1e4).round().tolist())
        for mask in range(1, 16)
        if (chosen := [i for i in range(1, 5) if mask >> (i - 1) & 1])
    }
    assert 10 < len(distinct) <= 16
    assert distinct <= possible | {(0.0, 0.0, 0.0), (-0.0, -0.0, -0.0)}


def test_a_history_of_which_everything_is_hidden_is_zero():
    encoder = HistoryEncoder(3, 2, length=5, attention=True, dropout=0.999_999).train()
    output = encoder(sl.Ragged.from_lists([[1, 2]]))
    output.sum().backward()
    assert output.tolist() == [[0, 0]]
    assert all(each.grad.isfinite().all() for each in encoder.parameters())


@pytest.mark.parametrize(
    ("feature", "encoding", "project", "kind", "dim"),
    [
        (sl.Id("u"), SeenEncoding(9), True, IndexEncoder, 16),
        (sl.Id("u", dim=4), SeenEncoding(9), False, IndexEncoder, 4),
        (sl.Category("c", buckets=5), HashEncoding(5), False, IndexEncoder, 16),
        (sl.Text("t"), TextEncoding(2, 50), True, BagEncoder, 16),
        (sl.Number("n"), StandardEncoding(0.0, 1.0), True, DenseEncoder, 16),
        (sl.Number("n"), StandardEncoding(0.0, 1.0), False, DenseEncoder, 2),
        (sl.Vector("v"), VectorEncoding(7), False, DenseEncoder, 16),
        (sl.History("i", length=9), SeenEncoding(9), False, HistoryEncoder, 16),
        (sl.History("i", dim=3, pooling="mean"), SeenEncoding(9), False, HistoryEncoder, 3),
    ],
)
def test_a_feature_gets_the_encoder_and_the_width_that_suit_it(feature, encoding, project, kind, dim):
    encoder = build_encoder(feature, encoding, 16, project=project)
    assert type(encoder) is kind
    assert encoder.dim == dim
    if kind is HistoryEncoder:
        assert encoder.attention == (feature.pooling == "attention")
        assert encoder.dropout == feature.dropout
